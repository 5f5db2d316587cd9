//go:build sinks

package sink_test

import (
	"bytes"
	"crypto/x509"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	miniocredentials "github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/fakes3"
	"github.com/tssbackup/tssbackup/testutil/fakesmtp"
	"github.com/tssbackup/tssbackup/testutil/servers"
)

// tools is the folder of the servers, which make test-sinks installs.
var tools = flag.String("tools", "", "folder of the servers to test with")

// versitygw is an S3 gateway over a folder, and client the way of somebody else to it.
func versitygw(t testing.TB) (at string, client *minio.Client, restart func() (stop func())) {
	at, restart = servers.Versitygw(t, *tools)
	client, err := minio.New(at, &minio.Options{Creds: miniocredentials.NewStaticV4(fakes3.AccessKey, fakes3.SecretKey, "")})
	require.NoError(t, err)
	return at, client, restart
}

func TestARealBucket(t *testing.T) {
	at, client, start := versitygw(t)
	stop := start()
	ctx := t.Context()
	url := "s3://copies/p?endpoint=http://" + at
	_, err := open(t, url).List(ctx)
	require.ErrorContains(t, err, "make the bucket")
	require.NoError(t, client.MakeBucket(ctx, "copies", minio.MakeBucketOptions{}))
	wrong, err := sink.Open(url, sink.Credentials{User: fakes3.AccessKey, Secret: "wrong"})
	require.NoError(t, err)
	_, err = wrong.List(ctx)
	require.ErrorContains(t, err, "are the credentials in the file those of this server?")
	require.Error(t, wrong.Put(ctx, "a", []byte("a")))

	s, from := open(t, url), source()
	r, err := sink.Copy(ctx, from, s, 0, true)
	require.NoError(t, err)
	require.Len(t, r.Copied, 4)
	info, err := client.StatObject(ctx, "copies", "p/s/objects/a", minio.StatObjectOptions{Checksum: true})
	require.NoError(t, err)
	require.NotEmpty(t, info.ChecksumSHA256, "the server has a SHA-256 of its own")
	r, err = sink.Copy(ctx, from, s, 0, true)
	require.NoError(t, err)
	require.Empty(t, r.Copied)

	stop()
	_, err = sink.Copy(ctx, from, s, 0, true)
	require.Error(t, err)
	start()
	require.NoError(t, client.RemoveObject(ctx, "copies", "p/s/objects/b", minio.RemoveObjectOptions{}))
	r, err = sink.Copy(ctx, from, s, 0, true)
	require.NoError(t, err)
	require.Equal(t, []string{"s/objects/b"}, r.Copied)

	_, err = client.PutObject(ctx, "copies", "p/s/objects/b", bytes.NewReader([]byte("xxx")), 3, minio.PutObjectOptions{})
	require.NoError(t, err)
	r, err = sink.Copy(ctx, from, s, 0, true)
	require.ErrorIs(t, err, sink.ErrAltered)
	require.Equal(t, []string{"s/objects/b"}, r.Altered)
	got, err := s.Get(ctx, "s/objects/b")
	require.NoError(t, err)
	require.Equal(t, "xxx", string(got))

	dir := t.TempDir()
	require.NoError(t, sink.Fetch(ctx, s, dir, func(string) bool { return true }))
	want := source().data
	want["s/objects/b"] = "xxx"
	require.Equal(t, want, disk.Tree(t, dir))
}

func TestARealNodeOfIPFS(t *testing.T) {
	api, gateway := servers.IPFS(t, *tools)
	testNode(t, "ipfs://"+api, "http://"+gateway)
}

func TestARealMailServer(t *testing.T) {
	smtp, api := servers.Address(t), servers.Address(t)
	dir := t.TempDir()
	certificate, key := fakesmtp.Certificate(t)
	for name, data := range map[string][]byte{
		"cert": certificate, "key": key, "auth": []byte(fakesmtp.User + ":" + fakesmtp.Password + "\n"),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	servers.Serve(t, smtp, nil, filepath.Join(*tools, "mailpit"), "--smtp", smtp, "--listen", api, "--disable-version-check",
		"--smtp-tls-cert", filepath.Join(dir, "cert"), "--smtp-tls-key", filepath.Join(dir, "key"),
		"--smtp-require-starttls", "--smtp-auth-file", filepath.Join(dir, "auth"))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certificate))
	secret := bytes.Repeat([]byte("age\x00\r\n.\r\n"), 10000)
	send := func(c sink.Credentials) error {
		m := mailbox(t, smtp, c)
		m.Trust(roots)
		return m.Send(t.Context(), "a backup", "text", "home.tar.age", secret)
	}
	require.Error(t, send(sink.Credentials{User: fakesmtp.User, Secret: "wrong"}))
	require.NoError(t, send(mailUser))
	var res *http.Response
	require.Eventually(t, func() (ok bool) {
		var err error
		res, err = http.Get("http://" + api + "/api/v1/message/latest/raw")
		return err == nil && res.StatusCode == http.StatusOK
	}, time.Minute, 10*time.Millisecond)
	defer res.Body.Close()
	message, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	name, data := attached(t, string(message))
	require.Equal(t, "home.tar.age", name)
	require.Equal(t, secret, data)
}

func TestARealBucketWithALock(t *testing.T) {
	at, client, start := versitygw(t)
	start()
	ctx := t.Context()
	require.NoError(t, client.MakeBucket(ctx, "locked", minio.MakeBucketOptions{ObjectLocking: true}))
	mode, days, unit := minio.Governance, uint(1), minio.Days
	require.NoError(t, client.SetBucketObjectLockConfig(ctx, "locked", &mode, &days, &unit))
	s := open(t, "s3://locked?endpoint=http://"+at)
	_, err := sink.Copy(ctx, source(), s, 0, true)
	require.NoError(t, err)
	info, err := client.StatObject(ctx, "locked", "s/objects/a", minio.StatObjectOptions{})
	require.NoError(t, err)
	require.Error(t, client.RemoveObject(ctx, "locked", "s/objects/a", minio.RemoveObjectOptions{VersionID: info.VersionID}))

	require.NoError(t, client.RemoveObject(ctx, "locked", "s/objects/a", minio.RemoveObjectOptions{}), "a mark over it")
	r, err := sink.Copy(ctx, source(), s, 0, true)
	require.NoError(t, err)
	require.Equal(t, []string{"s/objects/a"}, r.Copied)
}
