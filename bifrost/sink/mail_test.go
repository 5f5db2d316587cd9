package sink_test

import (
	"encoding/base64"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/testutil/fakesmtp"
)

// What scripts/stock-tools.sh has mailed, and where it gets the message as the server has it.
var (
	attach  = flag.String("attach", "", "file to mail")
	message = flag.String("mail", "", "file for the message")
)

var mailUser = sink.Credentials{User: fakesmtp.User, Secret: fakesmtp.Password}

// attached is the attachment of a message, and its name.
func attached(t testing.TB, message string) (name string, data []byte) {
	m, err := mail.ReadMessage(strings.NewReader(message))
	require.NoError(t, err)
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := r.NextPart()
		require.NoError(t, err)
		if part.FileName() == "" {
			continue
		}
		data, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		require.NoError(t, err)
		return part.FileName(), data
	}
}

func mailbox(t testing.TB, address string, c sink.Credentials) *sink.Mail {
	m, err := sink.OpenMail("mailto:ops@example.org?server="+address+"&from=bifrost@example.org", c)
	require.NoError(t, err)
	return m
}

func TestMailGoesOverTLSToAServerThatIsKnown(t *testing.T) {
	server, address, roots := fakesmtp.New(t)
	m := mailbox(t, address, mailUser)
	secret := []byte("age-encryption.org/v1\n\x00\x01.\r\n.\r\n")
	if *attach != "" {
		var err error
		secret, err = os.ReadFile(*attach)
		require.NoError(t, err)
	}
	send := func(m *sink.Mail) error { return m.Send(t.Context(), "a backup", "text", "home.tar.age", secret) }
	require.ErrorContains(t, send(m), "certificate", "nobody knows its authority")
	m.Trust(roots)
	require.NoError(t, send(m))
	require.Len(t, server.Messages, 1)
	name, data := attached(t, server.Messages[0])
	require.Equal(t, "home.tar.age", name)
	require.Equal(t, secret, data)
	require.Contains(t, server.Messages[0], "ops@example.org")
	if *message != "" {
		require.NoError(t, os.WriteFile(*message, []byte(server.Messages[0]), 0o600))
	}

	other := mailbox(t, address, sink.Credentials{User: fakesmtp.User, Secret: "hunter2"})
	other.Trust(roots)
	err := send(other)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	nobody := mailbox(t, address, sink.Credentials{})
	nobody.Trust(roots)
	require.ErrorContains(t, send(nobody), "who are you")

	server.Lock()
	server.Plain = true
	server.Unlock()
	require.ErrorContains(t, send(m), "STARTTLS")
	require.Len(t, server.Messages, 1)
}

func TestWhatAMailServerRefusesForGoodIsFinal(t *testing.T) {
	server, address, roots := fakesmtp.New(t)
	m := mailbox(t, address, mailUser)
	m.Trust(roots)
	for answer, final := range map[string]bool{
		"552 5.3.4 message is too large": true, "554 5.7.1 no": true,
		"452 4.3.1 the disk is full": false, "421 4.3.2 later": false,
	} {
		server.Lock()
		server.Answer = answer
		server.Unlock()
		err := m.Send(t.Context(), "a backup", "text", "home.tar.age", []byte("x"))
		require.Error(t, err)
		require.ErrorContains(t, err, answer[10:])
		if final {
			require.ErrorIs(t, err, sink.ErrRefused)
		} else {
			require.NotErrorIs(t, err, sink.ErrRefused)
		}
	}
	require.Empty(t, server.Messages)
}

func TestURLsOfMailboxes(t *testing.T) {
	for _, bad := range []string{
		"mailto:", "mailto:ops?server=h:587&from=a@b", "mailto:a@b?from=a@b", "mailto:a@b?server=h&from=a@b",
		"mailto:a@b?server=h:587", "mailto:a@b?server=h:587&from=x", "mailto:a@b?server=h:587&from=a@b&bcc=c@d", "s3://bucket",
		"mailto:a@b?server=h:smtp&from=a@b",
	} {
		_, err := sink.OpenMail(bad, sink.Credentials{})
		require.ErrorIs(t, err, sink.ErrURL, bad)
	}
}
