// Package fakes3 is a server that speaks as much of S3 as a sink needs, in the memory of a test,
// and is out of order as the test likes.
package fakes3

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The one user of the server.
const (
	AccessKey = "test-access-key"
	SecretKey = "test-secret-key"
)

// Bucket is the one that there is.
const Bucket = "copies"

// pageSize is how many names are in one answer.
const pageSize = 3

const (
	checksumHeader = "X-Amz-Checksum-Sha256"
	timeFormat     = "2006-01-02T15:04:05.000Z"
)

// A Server is a bucket. Its lock is held while it answers, and guards what is exported.
type Server struct {
	sync.Mutex
	// Objects are the contents by key.
	Objects map[string][]byte
	// Puts are the keys that were written, in order.
	Puts []string
	// Overwrites says that conditions are passed over, RefuseConditions that they are no part of
	// this server, Marks that what was deleted counts as there for them, and NoChecksums that it
	// shows no SHA-256.
	Overwrites, RefuseConditions, Marks, NoChecksums bool
	// Ahead is how far the server's clock is before that of who asks.
	Ahead time.Duration
	// Fault, when it is set, is asked first: a code of S3 that is not empty is the answer. HangUp
	// ends the connection, and NoAnswer does once the request is served.
	Fault func(method, key string) (status int, code string)
}

// What a [Server.Fault] may say beside codes of S3.
const (
	HangUp   = "hang up"
	NoAnswer = "no answer"
)

// maxSkew is how old or early a signature may be.
const maxSkew = 15 * time.Minute

// New starts a server. URL is that of a sink in its bucket, under the prefix p.
func New(t testing.TB) (s *Server, url string) {
	s = &Server{Objects: map[string][]byte{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, "s3://" + Bucket + "/p?endpoint=" + server.URL
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.Lock()
	defer s.Unlock()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if s.Fault != nil {
		switch status, code := s.Fault(r.Method, key); code {
		case "":
		case HangUp:
			panic(http.ErrAbortHandler)
		case NoAnswer:
			s.serve(httptest.NewRecorder(), r, bucket, key, body)
			panic(http.ErrAbortHandler)
		default:
			fail(w, status, code)
			return
		}
	}
	s.serve(w, r, bucket, key, body)
}

func (s *Server) serve(
	w http.ResponseWriter, r *http.Request, bucket, key string, body []byte,
) {
	signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	switch {
	case !strings.Contains(r.Header.Get("Authorization"), "Credential="+AccessKey+"/"):
		fail(w, http.StatusForbidden, "InvalidAccessKeyId") // who has no key signs no time either
	case err != nil || time.Now().Add(s.Ahead).Sub(signed).Abs() > maxSkew:
		fail(w, http.StatusForbidden, "RequestTimeTooSkewed")
	case bucket != Bucket:
		fail(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodGet && key == "":
		s.list(w, r)
	case r.Method == http.MethodPut:
		s.put(w, r, key, body)
	default:
		s.get(w, r, key)
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>the fake says so</Message></Error>", code)
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(h[:])
}

type content struct {
	Key          string
	Size         int
	ETag         string
	LastModified string
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	var result struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name                  string
		IsTruncated           bool
		NextContinuationToken string
		Contents              []content
	}
	result.Name = Bucket
	q := r.URL.Query()
	for _, key := range slices.Sorted(maps.Keys(s.Objects)) {
		if !strings.HasPrefix(key, q.Get("prefix")) || key <= q.Get("continuation-token") {
			continue
		}
		if len(result.Contents) == pageSize {
			result.IsTruncated = true
			result.NextContinuationToken = result.Contents[pageSize-1].Key
			break
		}
		result.Contents = append(result.Contents, content{
			key, len(s.Objects[key]), `"etag"`, time.Now().UTC().Format(timeFormat),
		})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(result)
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	condition := r.Header.Get("If-None-Match")
	if s.RefuseConditions && condition != "" {
		fail(w, http.StatusNotImplemented, "NotImplemented")
		return
	}
	_, there := s.Objects[key]
	there = there || s.Marks && slices.Contains(s.Puts, key)
	if there && condition == "*" && !s.Overwrites {
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	if claimed := r.Header.Get(checksumHeader); claimed != "" && claimed != sum(body) {
		fail(w, http.StatusBadRequest, "BadDigest")
		return
	}
	s.Objects[key] = body
	s.Puts = append(s.Puts, key)
	w.Header().Set("ETag", `"etag"`)
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, key string) {
	data, ok := s.Objects[key]
	if !ok {
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	h := w.Header()
	h.Set("ETag", `"etag"`)
	h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("Content-Type", "application/octet-stream")
	if !s.NoChecksums && r.Header.Get("X-Amz-Checksum-Mode") != "" {
		h.Set(checksumHeader, sum(data))
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(data)
	}
}
