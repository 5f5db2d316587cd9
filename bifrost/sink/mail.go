package sink

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"

	gomail "github.com/wneessen/go-mail"
)

// ErrRefused means that a mail server will not take this message, however often it is sent.
var ErrRefused = errors.New("the mail server refuses it for good")

// Mail is a mailbox. A server accepts a message, and what becomes of it nobody here can see: it is
// no [Sink].
type Mail struct {
	host        string
	port        int
	from, to    string
	credentials Credentials
	// roots are those of the host, but in tests.
	roots *x509.CertPool
}

// OpenMail returns the mailbox of a URL such as
// mailto:ops@example.org?server=smtp.example.org:587&from=bifrost@example.org. It asks nobody yet.
// Its error wraps [ErrURL].
func OpenMail(address string, c Credentials) (*Mail, error) {
	u, err := parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "mailto" {
		return nil, fmt.Errorf("%w: %s: its scheme is not mailto", ErrURL, u)
	}
	o, err := options(u, "server", "from")
	if err != nil {
		return nil, err
	}
	m := &Mail{credentials: c}
	for _, a := range []struct{ what, text string }{{"recipient", u.Opaque}, {"from", o["from"]}} {
		parsed, err := mail.ParseAddress(a.text)
		if err != nil || parsed.Name != "" || parsed.Address != a.text {
			return nil, fmt.Errorf("%w: %s: its %s is not the address of a mailbox", ErrURL, u, a.what)
		}
	}
	m.to, m.from = u.Opaque, o["from"]
	host, port, err := net.SplitHostPort(o["server"])
	if err == nil {
		m.port, err = strconv.Atoi(port)
	}
	if err != nil || host == "" {
		return nil, fmt.Errorf("%w: %s: its server is not a host and a port, such as "+
			"smtp.example.org:587", ErrURL, u)
	}
	m.host = host
	return m, nil
}

// Send hands a message with one attachment to the server, over TLS by STARTTLS and no other way. A
// nil error means that the server has accepted it, and nothing more. One that wraps [ErrRefused] is
// final.
func (m *Mail) Send(ctx context.Context, subject, text, name string, data []byte) error {
	msg := gomail.NewMsg()
	if err := errors.Join(msg.From(m.from), msg.To(m.to)); err != nil {
		return err
	}
	msg.Subject(subject)
	msg.SetBodyString(gomail.TypeTextPlain, text)
	err := msg.AttachReader(name, bytes.NewReader(data),
		gomail.WithFileContentType(gomail.TypeAppOctetStream))
	if err != nil {
		return err
	}
	options := []gomail.Option{
		gomail.WithPort(m.port), gomail.WithTLSPolicy(gomail.TLSMandatory),
		gomail.WithTLSConfig(&tls.Config{
			ServerName: m.host, MinVersion: tls.VersionTLS12, RootCAs: m.roots,
		}),
		gomail.WithTimeout(fileTimeout),
	}
	if m.credentials != (Credentials{}) {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(m.credentials.User), gomail.WithPassword(m.credentials.Secret))
	}
	client, err := gomail.NewClient(m.host, options...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	err = client.DialAndSendWithContext(ctx, msg)
	var failed *gomail.SendError
	if errors.As(err, &failed) && failed.ErrorCode() >= 500 {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}
