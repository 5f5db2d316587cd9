package chain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// recognise returns the answer of a CometBFT RPC, and says of any other what it is: a server that
// is busy, one that wants to know who asks, or another service than was meant.
func (t *transport) recognise(res *http.Response, body []byte) ([]byte, error) {
	said := fmt.Errorf("the server answers %s", printable(res.Status))
	if refusedFor(res.StatusCode) {
		return nil, busy(res, said)
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	var answer struct {
		JSONRPC string
		Error   *struct {
			Code    int
			Message string
			Data    string
		}
		// Code and Message are those of a REST service's error.
		Code    int
		Message string
	}
	valid := json.Valid(body)
	if valid && body[0] == '[' {
		return body, nil
	}
	if valid {
		// An answer of another form is none either.
		_ = json.Unmarshal(body, &answer)
	}
	if answer.Message != "" {
		said = fmt.Errorf("%w: %s", said, printable(t.scrub(answer.Message)))
	}
	switch {
	case answer.Error != nil && isBusy(answer.Error.Message+" "+answer.Error.Data),
		answer.JSONRPC == "" && isBusy(answer.Message):
		if answer.Error != nil {
			said = errors.New("the server answers: " + printable(t.scrub(answer.Error.Message)))
		}
		limited := busy(res, said)
		limited.untaken = true
		return nil, limited
	case answer.JSONRPC != "":
		return body, nil
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%w: a user and a password, or a query such as ?apikey=KEY, "+
			"can be part of a node's address", said)
	case res.StatusCode == http.StatusInternalServerError:
		return nil, &passing{err: said}
	case valid && answer.Code != 0 && answer.Message != "":
		return nil, t.noRPC(said.Error(), "the REST port")
	case !valid && len(body) == 0 && res.StatusCode == http.StatusOK:
		return nil, &passing{err: errors.New("the answer is empty")}
	case !valid && len(body) > 0 && (body[0] == '{' || body[0] == '['):
		return nil, &passing{err: errors.New("the answer ends in the middle, error unmarshalling it")}
	}
	if lower := bytes.ToLower(body); res.StatusCode == http.StatusBadRequest &&
		(bytes.Contains(lower, []byte("http request to an https server")) ||
			bytes.Contains(lower, []byte("http request was sent to https port"))) {
		return nil, fmt.Errorf("%w: it wants TLS, at https://%s", said, t.url.Host)
	}
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err == nil {
		said = fmt.Errorf("%w with %s", said, printable(kind))
	}
	return nil, t.noRPC(said.Error(), "")
}

// isBusy reports whether the words are those of a server that limits how often it is asked.
func isBusy(text string) bool {
	text = strings.ToLower(text)
	for _, words := range []string{
		"rate limit", "rate-limit", "ratelimit", "too many requests", "request limit", "limit exceeded",
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// noHTTP is the error of what speaks another protocol, of which net/http shows the beginning.
func (t *transport) noHTTP(text string) error {
	looks := "the p2p port"
	// HTTP/2 begins with a frame of settings: three bytes of length, and 4.
	if _, shown, ok := strings.Cut(text, `malformed HTTP response "`); ok {
		if strings.HasPrefix(shown, `\x00\x00`) {
			looks = "the gRPC port"
		}
	} else if t.url.Scheme == "https" {
		return t.noRPC("it speaks neither TLS nor HTTP as expected", "")
	}
	return t.noRPC("it does not speak HTTP", looks)
}

// noRPC says that the service at the address is another one.
func (t *transport) noRPC(said, looks string) error {
	if looks != "" {
		looks = ", it looks like " + looks
	} else {
		looks = t.otherPort()
	}
	return fmt.Errorf("it does not answer as a CometBFT RPC (%s)%s: the RPC's port is usually 26657",
		said, looks)
}

// otherPort says what usually has the address's port.
func (t *transport) otherPort() string {
	usual := map[string]string{
		"26656": "p2p", "26658": "ABCI", "26660": "metrics", "1317": "REST", "9090": "gRPC",
	}
	if service, ok := usual[t.url.Port()]; ok {
		return fmt.Sprintf(", %s is usually that of %s", t.url.Port(), service)
	}
	return ""
}
