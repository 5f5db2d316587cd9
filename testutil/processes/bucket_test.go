//go:build processes

package processes_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fakes3"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/testutil/servers"
)

// tools is the folder of the server of S3, which make test-processes installs.
var tools = flag.String("tools", "", "folder of the servers to test with")

// TestAHostIsLostAndItsHomeComesBackFromABucket has every vote wait until the home is in a bucket.
// Then a signer's host is lost, with the folder of its backups: its home comes back on another one
// from the bucket and its words, and signs with the vault.
func TestAHostIsLostAndItsHomeComesBackFromABucket(t *testing.T) {
	endpoint, start := servers.Versitygw(t, *tools)
	start()
	client, err := minio.New(endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(fakes3.AccessKey, fakes3.SecretKey, ""),
	})
	require.NoError(t, err)
	require.NoError(t, client.MakeBucket(t.Context(), fakes3.Bucket, minio.MakeBucketOptions{}))
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte(fakes3.AccessKey+"\n"+fakes3.SecretKey+"\n"), 0o600))
	bucket := func(m *processes.Member) string {
		return fmt.Sprintf("s3://%s/member%d?endpoint=http://%s", fakes3.Bucket, m.Index, endpoint)
	}

	n := newNetwork(t, processes.Config{Tables: func(m *processes.Member) string {
		return fmt.Sprintf("\n[[sink]]\nname = \"bucket\"\nurl = %q\ncredentials_file = %q\nrequired = true\n", bucket(m), key)
	}})
	keygen := n.closed(n.churn().Id)
	n.requireVault(keygen)
	lost := n.Members[2]
	require.NoError(t, os.RemoveAll(lost.Backups))
	n.hostLost(lost, "--from", bucket(lost), "--credentials-file", key)
	n.requireVault(keygen)
	n.sign(keygen.Vault)
}
