package service

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/fakes3"
)

func TestCredentialsComeFromAFileOfTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bucket")
	require.NoError(t, os.WriteFile(path, []byte("key\nhunter2\n"), 0o600))
	c, err := ReadCredentials(path)
	require.NoError(t, err)
	require.Equal(t, sink.Credentials{User: "key", Secret: "hunter2"}, c)
	c, err = ReadCredentials("")
	require.NoError(t, err)
	require.Zero(t, c)

	require.NoError(t, os.Chmod(path, 0o644))
	_, err = ReadCredentials(path)
	require.ErrorContains(t, err, "others may read")
	_, err = ReadCredentials("bucket")
	require.ErrorContains(t, err, "systemd hands no credential bucket over")
	require.NoError(t, os.Chmod(path, 0o440))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	c, err = ReadCredentials("bucket")
	require.NoError(t, err, "a group of the service alone may read it there")
	require.Equal(t, "hunter2", c.Secret)
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("hunter2\n"), 0o600))
	_, err = ReadCredentials("bucket")
	require.ErrorContains(t, err, "not two lines")
	require.NotContains(t, err.Error(), "hunter2")
	require.NoError(t, os.WriteFile(path, make([]byte, 5000), 0o600))
	_, err = ReadCredentials(path)
	require.ErrorContains(t, err, "is larger than 4096 bytes")
	_, err = OpenSink(home.Sink{Name: "b", URL: "s3://bucket", CredentialsFile: filepath.Join(dir, "none")})
	require.ErrorIs(t, err, home.ErrConfig)
	_, err = OpenSink(home.Sink{Name: "b", URL: "ftp://bucket"})
	require.ErrorIs(t, err, home.ErrConfig)
}

// TestEnvelopesAreCopiedByVerifiedRecords has the envelopes of a signer's vaults copied to a bucket
// from its nodes, one of which lies.
func TestEnvelopesAreCopiedByVerifiedRecords(t *testing.T) {
	m := fakemember.New(t)
	m.OneVault()
	m.Publish(t)
	server, url := fakes3.New(t)
	credentials := filepath.Join(t.TempDir(), "bucket")
	require.NoError(t, os.WriteFile(credentials, []byte(fakes3.AccessKey+"\n"+fakes3.SecretKey+"\n"), 0o600))
	s := observed(t, m)
	s.cfg.Sinks = []home.Sink{{Name: "bucket", URL: url, What: home.SinkEnvelopes, CredentialsFile: credentials}}
	require.NoError(t, s.newSinks())
	require.Contains(t, s.metrics.series(t), "bifrost_sink_last_success_timestamp_seconds bucket")
	require.Zero(t, s.metrics.series(t)["bifrost_sink_last_success_timestamp_seconds bucket"])

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.sinks[0].copier.Run(ctx) })
	require.NoError(t, s.sinks[0].copier.Wait(ctx))
	cancel()
	running.Wait()
	require.Len(t, server.Objects, 1)
	for key, data := range server.Objects {
		name := key[len("p/"):]
		require.True(t, IsEnvelope(name), name)
		require.NoError(t, CheckEnvelope(name, data))
		require.ErrorIs(t, CheckEnvelope(name, append(data, 0)), sink.ErrAltered)
	}
	st := s.status()
	require.Len(t, st.Sinks, 1)
	require.Equal(t, 1, st.Sinks[0].Files)
	require.Equal(t, home.SinkEnvelopes, st.Sinks[0].What)
	require.NotZero(t, s.metrics.series(t)["bifrost_sink_last_success_timestamp_seconds bucket"])
}

func TestNamesOfEnvelopes(t *testing.T) {
	name := restore.EnvelopeFile(make([]byte, 32))
	require.True(t, IsEnvelope(name))
	for _, other := range []string{"", name + "x", "x/" + name, name[:len(name)-5] + ".age", "envelopes/zz.age"} {
		require.False(t, IsEnvelope(other), other)
	}
}
