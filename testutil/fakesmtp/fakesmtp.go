// Package fakesmtp is a mail server in the memory of a test. It takes mail over STARTTLS and from
// its one user alone.
package fakesmtp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The one user of the server.
const (
	User     = "bifrost"
	Password = "test-password"
)

// A Server keeps the messages that it accepts. Its lock guards what is exported.
type Server struct {
	sync.Mutex
	// Messages are those that were accepted, as they came.
	Messages []string
	// Answer is what it says to a message, 250 ok when it is empty.
	Answer string
	// Plain says that it offers no STARTTLS.
	Plain bool

	cert tls.Certificate
	open []net.Conn
}

// New starts a server at an address. Roots are those that its certificate is trusted by.
func New(t testing.TB) (s *Server, address string, roots *x509.CertPool) {
	s = &Server{}
	certificate, key := Certificate(t)
	var err error
	s.cert, err = tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	roots = x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certificate))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		s.Lock()
		for _, c := range s.open {
			c.Close()
		}
		s.Unlock()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.Lock()
			s.open = append(s.open, c)
			s.Unlock()
			all.Go(func() { s.serve(c) })
		}
	})
	return s, l.Addr().String(), roots
}

// Certificate makes one of 127.0.0.1, and its key, in PEM.
func Certificate(t testing.TB) (certificate, key []byte) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// serve speaks with one client.
func (s *Server) serve(c net.Conn) {
	defer func() { c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	s.Lock()
	plain, answer := s.Plain, s.Answer
	s.Unlock()
	in := bufio.NewReader(c)
	say := func(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }
	login := base64.StdEncoding.EncodeToString([]byte("\x00" + User + "\x00" + Password))
	secure, known := false, false
	say("220 fake")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case verb == "EHLO" && !secure && plain:
			say("250 fake")
		case verb == "EHLO" && !secure:
			say("250-fake")
			say("250 STARTTLS")
		case verb == "EHLO":
			say("250-fake")
			say("250 AUTH PLAIN")
		case verb == "STARTTLS":
			say("220 go on")
			c = tls.Server(c, &tls.Config{
				Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12,
			})
			in, secure = bufio.NewReader(c), true
		case verb == "AUTH" && line == "AUTH PLAIN "+login:
			say("235 welcome")
			known = true
		case verb == "AUTH":
			say("535 5.7.8 no such user")
		case verb == "QUIT":
			say("221 bye")
			return
		case verb == "NOOP", verb == "RSET":
			say("250 ok")
		case !known:
			say("530 5.7.0 who are you?")
		case verb == "DATA":
			say("354 go on")
			var message strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				message.WriteString(strings.TrimPrefix(line, "."))
			}
			if answer != "" {
				say("%s", answer)
				continue
			}
			s.Lock()
			s.Messages = append(s.Messages, message.String())
			s.Unlock()
			say("250 ok")
		default:
			say("250 ok")
		}
	}
}
