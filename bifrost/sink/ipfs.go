package sink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/tssbackup/tssbackup/internal/cid"
)

// sumOfName is the SHA-256 that the last element of a name is, before its ending.
func sumOfName(name string) ([]byte, error) {
	base, _, _ := strings.Cut(path.Base(name), ".")
	sum, err := hex.DecodeString(base)
	if err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("%s is not named by its SHA-256: IPFS names what it keeps by that", name)
	}
	return sum, nil
}

// isSum errs unless bytes have the SHA-256 by which they were asked for.
func isSum(name string, data, sum []byte) error {
	if got := sha256.Sum256(data); !bytes.Equal(got[:], sum) {
		return fmt.Errorf("%s: %w", name, ErrAltered)
	}
	return nil
}

// maxAnswer bounds what a node may answer beside files.
const maxAnswer = 64 << 20

// node is one of IPFS, by kubo's HTTP API. It keeps no names: a file that is named by its SHA-256
// is a block, which is pinned.
type node struct {
	api         string
	credentials Credentials
}

// nodeNames is how what a node has is listed, of which it knows the hashes alone: the SHA-256 in
// hex, in a folder and with the ending that the files have which are kept there.
const nodeNames = "envelopes/%x.age"

func newNode(u *url.URL, c Credentials) (*node, error) {
	if _, err := options(u); err != nil {
		return nil, err
	}
	if host, port, err := net.SplitHostPort(u.Host); err != nil || host == "" || port == "" ||
		strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("%w: %s: a node of IPFS is ipfs:// and the host and port of its API",
			ErrURL, u)
	}
	return &node{api: "http://" + u.Host + "/api/v0/", credentials: c}, nil
}

// call asks the API. It has no timeout of its own.
func (n *node) call(
	ctx context.Context, method string, args url.Values, body io.Reader, kind string, limit int64,
) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.api+method+"?"+args.Encode(), body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return ask(req, n.credentials, limit)
}

// errNode is what a node answers when it cannot do what it was asked for.
type errNode struct {
	status  int
	message string
}

func (e *errNode) Error() string {
	if e.message == "" {
		return fmt.Sprintf("it answers with status %d", e.status)
	}
	return fmt.Sprintf("%.300s", e.message)
}

// ask sends a request, and reads what is answered whole.
func ask(req *http.Request, c Credentials, limit int64) ([]byte, error) {
	if c != (Credentials{}) {
		req.SetBasicAuth(c.User, c.Secret)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // it shows the whole address
		}
		return nil, fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", req.URL.Host, err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s answers with more than %d bytes", req.URL.Host, limit)
	case res.StatusCode != http.StatusOK:
		var said struct{ Message string }
		_ = json.Unmarshal(data, &said) // what is no JSON says nothing
		return nil, fmt.Errorf("%s: %w", req.URL.Host, &errNode{res.StatusCode, said.Message})
	}
	return data, nil
}

// List implements [Sink]. The sizes are not known, and 0.
func (n *node) List(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	data, err := n.call(ctx, "pin/ls", url.Values{"type": {"recursive"}}, nil, "", maxAnswer)
	if err != nil {
		return nil, err
	}
	var pins struct{ Keys map[string]struct{} }
	if err := json.Unmarshal(data, &pins); err != nil {
		return nil, errors.New("its list of pins cannot be read")
	}
	files := map[string]int64{}
	for key := range pins.Keys {
		if sum, ok := cid.Sum(key); ok {
			files[fmt.Sprintf(nodeNames, sum)] = 0
		}
	}
	return files, nil
}

// Get implements [Sink], from what the node itself has.
func (n *node) Get(ctx context.Context, name string) ([]byte, error) {
	sum, err := sumOfName(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	data, err := n.call(ctx, "block/get", url.Values{"arg": {cid.Of(sum)}, "offline": {"true"}}, nil, "",
		maxFile)
	var answered *errNode
	if errors.As(err, &answered) && strings.Contains(answered.message, "not find") {
		return nil, missing(name)
	}
	if err != nil {
		return nil, err
	}
	return data, isSum(name, data, sum)
}

// Put implements [Sink].
func (n *node) Put(ctx context.Context, name string, data []byte) error {
	sum, err := sumOfName(name)
	if err != nil {
		return err
	}
	if err := isSum(name, data, sum); err != nil {
		return err
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("data", "block")
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	answer, err := n.call(short, "block/put", url.Values{
		"cid-codec": {"raw"}, "mhtype": {"sha2-256"}, "pin": {"true"},
	}, &body, form.FormDataContentType(), maxAnswer)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var put struct{ Key string }
	if err := json.Unmarshal(answer, &put); err != nil || put.Key != cid.Of(sum) {
		return fmt.Errorf("%s: the node calls it %.80q and not %s", name, put.Key, cid.Of(sum))
	}
	return n.Check(ctx, name, data)
}

// Check implements [Sink]: the block is pinned, and is read.
func (n *node) Check(ctx context.Context, name string, data []byte) error {
	sum, err := sumOfName(name)
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	_, err = n.call(short, "pin/ls", url.Values{"arg": {cid.Of(sum)}, "type": {"recursive"}}, nil, "",
		maxAnswer)
	var answered *errNode
	if errors.As(err, &answered) && strings.Contains(answered.message, "not pinned") {
		return missing(name)
	}
	if err != nil {
		return err
	}
	got, err := n.Get(ctx, name)
	return same(name, got, data, err)
}

// gateway gives what anybody on IPFS has. It is not believed.
type gateway struct {
	address     string
	credentials Credentials
}

func newGateway(u *url.URL, c Credentials) (*gateway, error) {
	if _, err := options(u); err != nil {
		return nil, err
	}
	if u.Host == "" {
		return nil, fmt.Errorf("%w: %s: it names no host", ErrURL, u)
	}
	return &gateway{strings.TrimSuffix(u.String(), "/"), c}, nil
}

// Get implements [Reader].
func (g *gateway) Get(ctx context.Context, name string) ([]byte, error) {
	sum, err := sumOfName(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		g.address+"/ipfs/"+cid.Of(sum)+"?format=raw", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/vnd.ipld.raw")
	data, err := ask(req, g.credentials, maxFile)
	var answered *errNode
	if errors.As(err, &answered) && answered.status == http.StatusNotFound {
		return nil, missing(name)
	}
	if err != nil {
		return nil, err
	}
	return data, isSum(name, data, sum)
}
