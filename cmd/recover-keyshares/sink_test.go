package main

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/internal/cid"
	"github.com/tssbackup/tssbackup/testutil/fakeipfs"
	"github.com/tssbackup/tssbackup/testutil/fakes3"
)

// places are a bucket and two nodes of IPFS for what was published.
type places struct {
	bucket       *fakes3.Server
	ipfs, second *fakeipfs.Node
}

func newPlaces(t testing.TB, env *testscript.Env) (p places, err error) {
	var bucket, node, gateway string
	p.bucket, bucket = fakes3.New(t)
	p.ipfs, node, gateway = fakeipfs.New(t, cidOf)
	env.Setenv("BUCKET", bucket)
	env.Setenv("IPFS", node)
	env.Setenv("GATEWAY", gateway)
	p.second, _, gateway = fakeipfs.New(t, cidOf)
	env.Setenv("SECOND", gateway)
	key := []byte(fakes3.AccessKey + "\n" + fakes3.SecretKey + "\n")
	return p, os.WriteFile(filepath.Join(env.WorkDir, "key"), key, 0o600)
}

func cidOf(data []byte) string {
	sum := sha256.Sum256(data)
	return cid.Of(sum[:])
}

// keep puts copies of what was published into the folder kept, the bucket and the nodes of IPFS;
// with spoilt, other bytes are in the bucket and on the first node under these names.
func cmdKeep(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	s.places.bucket.Lock()
	defer s.places.bucket.Unlock()
	s.places.ipfs.Lock()
	defer s.places.ipfs.Unlock()
	for _, sealed := range s.published {
		sum := sha256.Sum256(sealed)
		name, cid := restore.EnvelopeFile(sum[:]), cidOf(sealed)
		if len(args) > 0 {
			sealed = []byte("other bytes")
		} else {
			s.places.second.Lock()
			s.places.second.Blocks[cid] = sealed
			s.places.second.Unlock()
			path := ts.MkAbs(filepath.Join("kept", name))
			ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
			ts.Check(os.WriteFile(path, sealed, 0o600))
		}
		s.places.bucket.Objects["p/"+name] = sealed
		s.places.ipfs.Blocks[cid] = sealed
	}
}
