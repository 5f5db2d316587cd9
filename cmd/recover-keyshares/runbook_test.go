package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cosmos/gogoproto/jsonpb"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// curlStandIn is a command that does what the runbook asks of curl, for machines without it.
const curlStandIn = "curl-stand-in"

// curl prints what is at the address, the last argument.
func curl() {
	res, err := http.Get(os.Args[len(os.Args)-1])
	if err == nil {
		defer func() { _ = res.Body.Close() }()
		_, err = io.Copy(os.Stdout, res.Body)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The runbook's lines take an envelope from the archive of a node by its REST port, with what every
// system has.
func TestRunbookTakesAnEnvelopeOverREST(t *testing.T) {
	runbook, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```sh\n(curl -s \"http://NODE:1317/.*?)\nage ").FindSubmatch(runbook)
	require.NotNil(t, block)
	m := makeMembers(t)
	s := &scene{members: m}
	sealed, err := s.seal("active", "good")
	require.NoError(t, err)
	hash := sha256.Sum256(sealed)
	vault, address := m.vaults["active"].Name(), m.infos[0].Address
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/tssbackup/v1/vaults/"+vault+"/backups/"+address+"/envelope", r.URL.Path)
		answer := &types.QueryEnvelopeResponse{Envelope: sealed, Commitment: types.CommitmentInfo{
			Sha256: fmt.Sprintf("%x", hash), Size_: uint64(len(sealed)), Height: 10,
		}}
		require.NoError(t, (&jsonpb.Marshaler{OrigName: true, EmitDefaults: true}).Marshal(w, answer))
	}))
	defer server.Close()
	script := strings.NewReplacer("http://NODE:1317", server.URL, "VAULT", vault, "ADDRESS", address).
		Replace(string(block[1]))
	if _, err := exec.LookPath("curl"); err != nil {
		script = "curl() { " + curlStandIn + " \"$@\"; }\n" + script
	}
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%x  envelope.age\n", hash), string(out))
	got, err := os.ReadFile(filepath.Join(cmd.Dir, "envelope.age"))
	require.NoError(t, err)
	require.Equal(t, sealed, got)
}
