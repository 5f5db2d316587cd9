package sink

import "crypto/x509"

// Trust has the server's certificate verified by these roots alone.
func (m *Mail) Trust(roots *x509.CertPool) { m.roots = roots }
