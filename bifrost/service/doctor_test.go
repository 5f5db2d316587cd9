package service

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// level is the worst level of a check.
func level(findings []Finding, check string) (worst Level, details string) {
	for _, f := range findings {
		if f.Check == check {
			details += f.Detail + "\n"
			if worst == "" || f.Level == LevelFail || f.Level == LevelWarn && worst == LevelOK {
				worst = f.Level
			}
		}
	}
	return worst, details
}

func TestDoctor(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, w *world, o *DoctorOptions)
		check  string
		level  Level
		detail string
	}{
		{"no bifrost runs", func(*testing.T, *world, *DoctorOptions) {}, "process", LevelWarn, "no bifrost"},
		{"the mnemonic is fit", func(*testing.T, *world, *DoctorOptions) {}, "mnemonic", LevelOK, "derive cosmos1"},
		{"the mnemonic is refused", func(_ *testing.T, _ *world, o *DoctorOptions) {
			o.Mnemonic, o.MnemonicErr = nil, errors.New("12 words")
		}, "mnemonic", LevelFail, "12 words"},
		{"the signer is registered", func(*testing.T, *world, *DoctorOptions) {}, "signer", LevelOK, "knows cosmos1"},
		{"nobody is registered", func(_ *testing.T, w *world, _ *DoctorOptions) {
			w.own.Answers["/tssbackup.v1.Query/Signer"] = func([]byte) abci.ResponseQuery {
				return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: sdkerrors.ErrKeyNotFound.ABCICode()}
			}
		}, "signer", LevelFail, "not registered"},
		{"the recipient key is the mnemonic's", func(*testing.T, *world, *DoctorOptions) {}, "recipient", LevelOK, "for new keygens"},
		{"the recipient key is another's", func(t *testing.T, w *world, _ *DoctorOptions) {
			w.own.Answers["/tssbackup.v1.Query/Signer"] = func([]byte) abci.ResponseQuery {
				value, err := proto.Marshal(&types.QuerySignerResponse{Signer: types.SignerInfo{
					Operator: testOperator, Address: w.address, RecipientKey: recipientOf(t, 0, 1),
				}})
				require.NoError(t, err)
				return abci.ResponseQuery{Value: value}
			}
		}, "recipient", LevelFail, "bifrost register"},
		{"the proofs are to the mnemonic's recipient key", func(t *testing.T, w *world, _ *DoctorOptions) {
			w.proven(t, types.ProofInfo{RecipientKey: recipientOf(t, 0, 4), RecipientIndex: 4, Stored: []byte{1}, Height: 9})
		}, "recipient", LevelOK, "the proof of block 9"},
		{"a proof is to another recipient key", func(t *testing.T, w *world, _ *DoctorOptions) {
			w.proven(t, types.ProofInfo{RecipientKey: recipientOf(t, 1, 4), RecipientIndex: 4, Stored: []byte{1}})
		}, "recipient", LevelFail, "the mnemonic derives"},
		{"there is no proof", func(t *testing.T, w *world, _ *DoctorOptions) {
			w.proven(t, types.ProofInfo{RecipientKey: recipientOf(t, 0, 4), RecipientIndex: 4})
		}, "recipient", LevelWarn, "holds no proof"},
		{"the files are the owner's", func(*testing.T, *world, *DoctorOptions) {}, "files", LevelOK, ""},
		{"others may read a keyshare", func(t *testing.T, w *world, _ *DoctorOptions) {
			require.NoError(t, os.Chmod(filepath.Join(home.KeysharesDir(w.home), w.vaults[0].Files[0][0].Name), 0o644))
		}, "files", LevelFail, "0600"},
		{"the node is in sync", func(*testing.T, *world, *DoctorOptions) {}, "node", LevelOK, "in sync"},
		{"the node is behind", func(_ *testing.T, w *world, _ *DoctorOptions) { w.own.CatchingUp = true }, "node", LevelFail, "catching up"},
		{"the node is of another chain", func(_ *testing.T, w *world, _ *DoctorOptions) { w.own.ChainID = "other-1" }, "node", LevelFail, "other-1"},
		{"the node is gone", func(_ *testing.T, _ *world, o *DoctorOptions) { o.Config.Node = "http://127.0.0.1:1" }, "node", LevelFail, ""},
		{"the keyshares are here", func(*testing.T, *world, *DoctorOptions) {}, "keyshares", LevelOK, "both are here"},
		{"a keyshare is gone", func(t *testing.T, w *world, _ *DoctorOptions) {
			require.NoError(t, os.RemoveAll(home.KeysharesDir(w.home)))
		}, "keyshares", LevelFail, "not exist"},
		{"the drill works", func(*testing.T, *world, *DoctorOptions) {}, "drill", LevelOK, "opens, and is what is on the disk"},
		{"the drill has the own node alone", func(_ *testing.T, w *world, o *DoctorOptions) { o.Nodes = []string{w.ownURL} }, "drill", LevelWarn, "only the own node"},
		{"the drill fails", func(_ *testing.T, w *world, _ *DoctorOptions) { clear(w.other.Blocks) }, "drill", LevelFail, "block"},
		{"a backup was never published", func(_ *testing.T, w *world, _ *DoctorOptions) { w.unpublish() }, "drill", LevelFail, "no backup"},
		{"no header is kept yet", func(*testing.T, *world, *DoctorOptions) {}, "trust", LevelOK, "on which the own node and its witnesses agree"},
		{"a header is kept", func(t *testing.T, w *world, _ *DoctorOptions) {
			_, err := w.prover(t, w.otherURL).look(t.Context())
			require.NoError(t, err)
		}, "trust", LevelOK, "from the trusted one, with witnesses; its hash is"},
		{"the own node alone says which chain is the true one", func(_ *testing.T, _ *world, o *DoctorOptions) { o.Nodes = nil }, "trust", LevelWarn, "nothing but the own node's word"},
		{"a header is kept, and there is no witness", func(t *testing.T, w *world, o *DoctorOptions) {
			_, err := w.prover(t).look(t.Context())
			require.NoError(t, err)
			o.Nodes = nil
		}, "trust", LevelWarn, "by the own node alone"},
		{"a witness shows another chain", func(_ *testing.T, w *world, _ *DoctorOptions) { w.other.Vaults[0].Threshold = 1 }, "trust", LevelFail, "do not agree"},
		{"what should be here is not proven", func(_ *testing.T, w *world, _ *DoctorOptions) { w.other.Vaults[0].Threshold = 1 }, "keyshares", LevelFail, "not proven"},
		{"no peers are configured", func(*testing.T, *world, *DoctorOptions) {}, "peers", LevelWarn, ""},
		{"a peer is not there", func(_ *testing.T, _ *world, o *DoctorOptions) {
			o.Config.P2P.Peers = []string{"/ip4/127.0.0.1/tcp/1"}
		}, "peers", LevelFail, "refused"},
		{"a peer is there", func(t *testing.T, _ *world, o *DoctorOptions) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { l.Close() })
			_, port, err := net.SplitHostPort(l.Addr().String())
			require.NoError(t, err)
			o.Config.P2P.Peers = []string{"/ip4/127.0.0.1/tcp/" + port}
		}, "peers", LevelOK, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish(t)
			w.save(t, w.vaults...)
			o := DoctorOptions{Home: w.home, Config: testConfig(), Mnemonic: w.mnemonic, Nodes: []string{w.otherURL}}
			o.Config.Node = w.ownURL
			w.own.Answers["/tssbackup.v1.Query/Signer"] = func([]byte) abci.ResponseQuery {
				value, err := proto.Marshal(&types.QuerySignerResponse{Signer: types.SignerInfo{
					Operator: testOperator, Address: w.address, RecipientKey: recipientOf(t, 0, 0),
				}})
				require.NoError(t, err)
				return abci.ResponseQuery{Value: value}
			}
			row.change(t, w, &o)
			kept := w.kept(t)
			findings := Doctor(t.Context(), o)
			require.Equal(t, kept, w.kept(t), "a doctor changes nothing")
			worst, details := level(findings, row.check)
			require.Equal(t, row.level, worst, "%v", findings)
			require.Contains(t, details, row.detail)
			for _, f := range findings {
				for _, word := range strings.Fields(string(w.mnemonic.Bytes()))[:3] {
					require.NotContains(t, strings.Fields(f.Detail), word)
				}
			}
		})
	}
}

// proven gives all vaults public shares, and the signer this proof of each.
func (w *world) proven(t *testing.T, info types.ProofInfo) {
	for i := range w.own.Vaults {
		w.own.Vaults[i].SharesHash, w.other.Vaults[i].SharesHash = "abcd", "abcd"
	}
	w.own.Answers["/tssbackup.v1.Query/Proof"] = func([]byte) abci.ResponseQuery {
		value, err := proto.Marshal(&types.QueryProofResponse{Proof: info})
		require.NoError(t, err)
		return abci.ResponseQuery{Value: value}
	}
}

func TestClockSkew(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name  string
		block time.Time
		level Level
	}{
		{"a block of just now", now.Add(-3 * time.Second), LevelOK},
		{"a block of the near future", now.Add(4 * time.Second), LevelWarn},
		{"a block of the future", now.Add(time.Minute), LevelFail},
		{"an old block", now.Add(-2 * time.Minute), LevelWarn},
		{"a very old block", now.Add(-time.Hour), LevelFail},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, _ := clockSkew(now, now, row.block)
			require.Equal(t, row.level, got)
		})
	}
}

func TestPeerAddresses(t *testing.T) {
	for _, row := range []struct{ name, peer, network, address string }{
		{"an IPv4 address", "/ip4/10.0.0.1/tcp/5040", "tcp4", "10.0.0.1:5040"},
		{"an IPv6 address", "/ip6/::1/tcp/5040", "tcp6", "[::1]:5040"},
		{"a name", "/dns4/signer.example.org/tcp/1/p2p/16Uiu2HAmU6m3SoLZ9ZJHrDqW7Ms7GqKuwVhLwhmnKeuGjXbnGJpo", "tcp4", "signer.example.org:1"},
		{"no TCP", "/ip4/10.0.0.1/udp/5040", "", ""},
		{"no multiaddr", "10.0.0.1:5040", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			network, address, err := tcpAddress(row.peer)
			if row.address == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.network, network)
			require.Equal(t, row.address, address)
		})
	}
}
