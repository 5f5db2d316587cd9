package sink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	defaultEndpoint = "s3.amazonaws.com"
	defaultRegion   = "us-east-1"

	checksumHeader = "x-amz-checksum-sha256"
)

// bucket is a bucket of a server that speaks S3, or what is in it under a prefix.
type bucket struct {
	client         *minio.Client
	name, endpoint string
	// prefix is empty, or ends with a slash.
	prefix string
}

func newBucket(u *url.URL, c Credentials) (*bucket, error) {
	o, err := options(u, "endpoint", "region")
	if err != nil {
		return nil, err
	}
	if u.Host == "" {
		return nil, fmt.Errorf("%w: %s: it names no bucket", ErrURL, u)
	}
	b := &bucket{name: u.Host, endpoint: o["endpoint"]}
	if b.prefix = strings.Trim(u.Path, "/"); b.prefix != "" {
		b.prefix += "/"
	}
	if clean := strings.TrimPrefix(path.Clean("/"+b.prefix), "/"); b.prefix != "" &&
		clean+"/" != b.prefix {
		return nil, fmt.Errorf("%w: %s: its path is no prefix of names", ErrURL, u)
	}
	if b.endpoint == "" {
		b.endpoint = defaultEndpoint
	}
	secure := true
	if scheme, host, ok := strings.Cut(b.endpoint, "://"); ok {
		if secure = scheme == "https"; !secure && scheme != "http" {
			return nil, fmt.Errorf("%w: %s: its endpoint is neither https nor http", ErrURL, u)
		}
		b.endpoint = strings.TrimSuffix(host, "/")
	}
	if o["region"] == "" {
		o["region"] = defaultRegion
	}
	b.client, err = minio.New(b.endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(c.User, c.Secret, ""),
		Secure: secure, Region: o["region"],
		TrailingHeaders: true, // or the client takes no checksum
		MaxRetries:      1,    // who copies tries again
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrURL, u, err)
	}
	return b, nil
}

// List implements [Sink].
func (b *bucket) List(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel() // and the list ends with it
	files := map[string]int64{}
	for o := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{
		Prefix: b.prefix, Recursive: true,
	}) {
		if o.Err != nil {
			return nil, b.explain(o.Err, "")
		}
		if len(files) == maxFiles {
			return nil, fmt.Errorf("the bucket %s has more than %d files", b.name, maxFiles)
		}
		files[strings.TrimPrefix(o.Key, b.prefix)] = o.Size
	}
	return files, ctx.Err()
}

// Get implements [Sink].
func (b *bucket) Get(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	o, err := b.client.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, b.explain(err, name)
	}
	defer func() { _ = o.Close() }()
	data, err := io.ReadAll(io.LimitReader(o, maxFile+1))
	if err != nil {
		return nil, b.explain(err, name)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return data, nil
}

// Put implements [Sink].
func (b *bucket) Put(ctx context.Context, name string, data []byte) error {
	// Some servers take no notice of a condition.
	if err := b.Check(ctx, name, data); !isMissing(err) {
		return err
	}
	options := minio.PutObjectOptions{
		DisableMultipart: true, ContentType: "application/octet-stream",
		// A bucket with a lock demands a checksum, older ones this one; the body need not be signed
		// in parts then.
		SendContentMd5: true, DisableContentSha256: true,
	}
	create := options
	create.UserMetadata = map[string]string{checksumHeader: checksum(data)}
	create.SetMatchETagExcept("*")
	err := b.put(ctx, name, data, create)
	code := minio.ToErrorResponse(err).Code
	refused := code == minio.PreconditionFailed
	if refused && isMissing(b.Check(ctx, name, data)) || code == "NotImplemented" {
		// There is the mark of one that was deleted, or this server knows neither conditions nor
		// checksums. Nothing was there.
		err, refused = b.put(ctx, name, data, options), false
	}
	if err != nil && !refused {
		return b.explain(err, name)
	}
	got, err := b.Get(ctx, name)
	return same(name, got, data, err)
}

func (b *bucket) put(
	ctx context.Context, name string, data []byte, o minio.PutObjectOptions,
) error {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	_, err := b.client.PutObject(ctx, b.name, b.prefix+name, bytes.NewReader(data),
		int64(len(data)), o)
	return err
}

// Check implements [Sink].
func (b *bucket) Check(ctx context.Context, name string, data []byte) error {
	short, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	info, err := b.client.StatObject(short, b.name, b.prefix+name,
		minio.StatObjectOptions{Checksum: true})
	switch {
	case err != nil:
		return b.explain(err, name)
	case info.Size != int64(len(data)):
		return fmt.Errorf("%s: %w", name, ErrAltered)
	case info.ChecksumSHA256 == checksum(data):
		return nil
	}
	// It has none, or one of parts.
	got, err := b.Get(ctx, name)
	return same(name, got, data, err)
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// explain says what to do about an error. Name is empty when it is of no file.
func (b *bucket) explain(err error, name string) error {
	code, advice := minio.ToErrorResponse(err).Code, ""
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case name != "" && (code == minio.NoSuchKey || code == "NotFound"):
		return missing(name)
	case code == minio.NoSuchBucket:
		advice = ": make the bucket, nothing here does"
	case code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch":
		advice = ": are the credentials in the file those of this server?"
	case code == minio.AccessDenied:
		advice = ": the user must be able to list the bucket, and to read and write objects in it"
	case code == "RequestTimeTooSkewed":
		advice = ": set the clock of this host, or that of the server"
	case errors.As(err, &unknown) || errors.As(err, &host):
		advice = ": trust its authority on this host, or set SSL_CERT_FILE to the authority's certificate"
	}
	if code != "" {
		advice = " (" + code + ")" + advice
	}
	where := b.name
	if name != "" {
		where += "/" + b.prefix + name
	}
	return fmt.Errorf("%s at %s: %w%s", where, b.endpoint, err, advice)
}
