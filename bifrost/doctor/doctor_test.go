package doctor

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

type member = fakemember.Member

// level is the worst level of a check.
func level(findings []Finding, check string) (worst Level, details string) {
	for _, f := range findings {
		if f.Check == check {
			details += f.Detail + "\n"
			levels := []Level{"", OK, Warn, Skipped, Fail}
			if slices.Index(levels, f.Level) > slices.Index(levels, worst) {
				worst = f.Level
			}
		}
	}
	return worst, details
}

// backUp makes a backup of the home in a folder of its own.
func backUp(t *testing.T, w *member, o *Options) {
	o.Config.Backup.Dir = filepath.Join(t.TempDir(), "backups")
	require.NoError(t, durable.Write(home.ConfigPath(w.Home), nil))
	owner, err := service.BackupOwner(w.Home, o.Config, o.Mnemonic)
	require.NoError(t, err)
	_, err = homebackup.Create(t.Context(), owner, o.Config.Backup.Dir, time.Now())
	require.NoError(t, err)
}

func TestDoctor(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, w *member, o *Options)
		check  string
		level  Level
		detail string
	}{
		{"no bifrost runs", func(*testing.T, *member, *Options) {}, "process", Warn, "no bifrost"},
		{
			"the mnemonic is fit", func(*testing.T, *member, *Options) {},
			"mnemonic", OK, "derive cosmos1",
		},
		{"the mnemonic is refused", func(_ *testing.T, _ *member, o *Options) {
			o.Mnemonic, o.MnemonicErr = nil, errors.New("12 words")
		}, "mnemonic", Fail, "12 words"},
		{
			"the signer is registered", func(*testing.T, *member, *Options) {},
			"signer", OK, "knows cosmos1",
		},
		{"nobody is registered", func(_ *testing.T, w *member, _ *Options) {
			w.Own.Answers["/tssbackup.v1.Query/Signer"] = func([]byte) abci.ResponseQuery {
				return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: sdkerrors.ErrKeyNotFound.ABCICode()}
			}
		}, "signer", Fail, "not registered"},
		{"no recipient key is known of who is not registered", func(_ *testing.T, w *member, _ *Options) {
			w.Own.Answers["/tssbackup.v1.Query/Signer"] = func([]byte) abci.ResponseQuery {
				return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: sdkerrors.ErrKeyNotFound.ABCICode()}
			}
		}, "recipient", Skipped, "no such signer"},
		{
			"the recipient key is the mnemonic's", func(*testing.T, *member, *Options) {},
			"recipient", OK, "for new keygens",
		},
		{"the recipient key is another's", func(t *testing.T, w *member, _ *Options) {
			w.Registered(t, fakemember.Recipient(t, 0, 1))
		}, "recipient", Fail, "bifrost register"},
		{"the proofs are to the mnemonic's recipient key", func(t *testing.T, w *member, _ *Options) {
			prove(t, w, types.ProofInfo{RecipientKey: fakemember.Recipient(t, 0, 4), RecipientIndex: 4, Stored: []byte{1}, Height: 9})
		}, "recipient", OK, "the proof of block 9"},
		{"a proof is to another recipient key", func(t *testing.T, w *member, _ *Options) {
			prove(t, w, types.ProofInfo{RecipientKey: fakemember.Recipient(t, 1, 4), RecipientIndex: 4, Stored: []byte{1}})
		}, "recipient", Fail, "the mnemonic derives"},
		{"there is no proof", func(t *testing.T, w *member, _ *Options) {
			prove(t, w, types.ProofInfo{RecipientKey: fakemember.Recipient(t, 0, 4), RecipientIndex: 4})
		}, "recipient", Warn, "holds no proof"},
		{"there are no backups", func(*testing.T, *member, *Options) {}, "backup", Warn, "set dir under"},
		{"no backup was ever made", func(t *testing.T, _ *member, o *Options) {
			o.Config.Backup.Dir = t.TempDir()
		}, "backup", Fail, "no backup of this home"},
		{"the newest backup has it all", func(t *testing.T, w *member, o *Options) {
			backUp(t, w, o)
		}, "backup", Warn, "has all 4 keyshares of the home, and is on its file system"},
		{"the newest backup lacks a keyshare", func(t *testing.T, w *member, o *Options) {
			file := w.File(w.Vaults[0], 0)
			require.NoError(t, os.Rename(file, file+".aside"))
			backUp(t, w, o)
			require.NoError(t, os.Rename(file+".aside", file))
		}, "backup", Fail, "lacks 1 keyshares of the home"},
		{"the newest backup is damaged", func(t *testing.T, w *member, o *Options) {
			backUp(t, w, o)
			manifests, err := filepath.Glob(filepath.Join(o.Config.Backup.Dir, "*", "manifests", "*.age"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(manifests[0], []byte("torn"), 0o600))
		}, "backup", Fail, "manifests/1-"},
		{"the files are the owner's", func(*testing.T, *member, *Options) {}, "files", OK, ""},
		{"others may read a keyshare", func(t *testing.T, w *member, _ *Options) {
			require.NoError(t, os.Chmod(w.File(w.Vaults[0], 0), 0o644))
		}, "files", Fail, "0600"},
		{"the node is in sync", func(*testing.T, *member, *Options) {}, "node", OK, "in sync"},
		{
			"the node is behind",
			func(_ *testing.T, w *member, _ *Options) { w.Own.CatchingUp = true },
			"node", Fail, "catching up",
		},
		{
			"the clock cannot be held against the blocks of the past",
			func(_ *testing.T, w *member, _ *Options) { w.Own.CatchingUp = true },
			"clock", Skipped, "not the chain's",
		},
		{
			"the node is of another chain",
			func(_ *testing.T, w *member, _ *Options) { w.Own.ChainID = "other-1" },
			"node", Fail, "other-1",
		},
		{
			"the node is gone",
			func(_ *testing.T, _ *member, o *Options) { o.Config.Node = "http://127.0.0.1:1" },
			"node", Fail, "",
		},
		{
			"the keyshares are here", func(*testing.T, *member, *Options) {},
			"keyshares", OK, "both are here",
		},
		{"no vault lives", func(_ *testing.T, w *member, _ *Options) {
			w.Both(func(n *fakenode.Node) {
				for i := range n.Vaults {
					n.Vaults[i].Status = types.VaultStatus_VAULT_STATUS_RETIRED
				}
			})
		}, "keyshares", OK, "in no live vault yet"},
		{"a keyshare is gone", func(t *testing.T, w *member, _ *Options) {
			require.NoError(t, os.RemoveAll(home.KeysharesDir(w.Home)))
		}, "keyshares", Fail, "not exist"},
		{
			"the drill works", func(*testing.T, *member, *Options) {},
			"drill", OK, "opens, and is what is on the disk",
		},
		{
			"the drill has the own node alone",
			func(_ *testing.T, w *member, o *Options) { o.Nodes = []string{w.OwnURL} },
			"drill", Warn, "only the own node",
		},
		{
			"the drill fails", func(_ *testing.T, w *member, _ *Options) { clear(w.Other.Blocks) },
			"drill", Fail, "block",
		},
		{
			"a backup was never published",
			func(_ *testing.T, w *member, _ *Options) { w.Unpublish() },
			"drill", Fail, "no backup",
		},
		{
			"no header is kept yet", func(*testing.T, *member, *Options) {},
			"trust", OK, "on which the own node and its witnesses agree",
		},
		{"a header is kept", func(t *testing.T, w *member, _ *Options) {
			look(t, w, w.OtherURL)
		}, "trust", OK, "from the trusted one, with witnesses; its hash is"},
		{
			"the own node alone says which chain is the true one",
			func(_ *testing.T, _ *member, o *Options) { o.Nodes = nil },
			"trust", Warn, "nothing but the own node's word",
		},
		{"a header is kept, and there is no witness", func(t *testing.T, w *member, o *Options) {
			look(t, w)
			o.Nodes = nil
		}, "trust", Warn, "by the own node alone"},
		{
			"a witness shows another chain",
			func(_ *testing.T, w *member, _ *Options) { w.Other.Vaults[0].Threshold = 1 },
			"trust", Fail, "do not agree",
		},
		{
			"what should be here is not verified",
			func(_ *testing.T, w *member, _ *Options) { w.Other.Vaults[0].Threshold = 1 },
			"keyshares", Skipped, "not verified",
		},
		{
			"what should come back is not verified",
			func(_ *testing.T, w *member, _ *Options) { w.Other.Vaults[0].Threshold = 1 },
			"drill", Skipped, "not verified",
		},
		{
			"without the node nothing is known of the backups",
			func(_ *testing.T, _ *member, o *Options) { o.Config.Node = "http://127.0.0.1:1" },
			"drill", Skipped, "cannot be asked",
		},
		{"without a mnemonic nothing is known of the keyshares", func(_ *testing.T, _ *member, o *Options) {
			o.Mnemonic, o.MnemonicErr = nil, errors.New("12 words")
		}, "keyshares", Skipped, "no mnemonic"},
		{"a witness answers", func(*testing.T, *member, *Options) {}, "witness", OK, "answers, at block"},
		{"a witness does not answer", func(_ *testing.T, _ *member, o *Options) {
			o.Nodes = append(o.Nodes, "http://127.0.0.1:1")
		}, "witness", Skipped, "is not counted"},
		{"a witness that does not answer is not counted", func(t *testing.T, w *member, o *Options) {
			look(t, w, w.OtherURL)
			o.Nodes = append(o.Nodes, "http://127.0.0.1:1")
		}, "trust", Warn, "with 1 of 2 witnesses"},
		{"no witness answers", func(t *testing.T, w *member, o *Options) {
			look(t, w, w.OtherURL)
			o.Nodes = []string{"http://127.0.0.1:1"}
		}, "trust", Warn, "no witness answers"},
		{"a witness is the own node", func(t *testing.T, w *member, _ *Options) {
			look(t, w)
			w.Own.ID, w.Other.ID = "1234", "1234"
		}, "witness", Warn, "it is the own node under another address"},
		{"a witness that is the own node is not counted", func(t *testing.T, w *member, _ *Options) {
			look(t, w)
			w.Own.ID, w.Other.ID = "1234", "1234"
		}, "trust", Warn, "by the own node alone"},
		{"no peers are configured", func(*testing.T, *member, *Options) {}, "peers", Warn, ""},
		{"a peer is not there", func(t *testing.T, _ *member, o *Options) {
			o.Config.P2P.Peers = []string{"/ip4/127.0.0.1/tcp/1" + peerOf(t, 1)}
		}, "peers", Fail, "refused"},
		{"a peer is there", func(t *testing.T, _ *member, o *Options) {
			o.Config.P2P.Peers = []string{listen(t, 1) + peerOf(t, 1)}
		}, "peers", OK, "is that signer"},
		{"another signer is there", func(t *testing.T, _ *member, o *Options) {
			o.Config.P2P.Peers = []string{listen(t, 2) + peerOf(t, 1)}
		}, "peers", Fail, "another signer answers there"},
		{"something else is there", func(t *testing.T, w *member, o *Options) {
			port := w.OwnURL[strings.LastIndex(w.OwnURL, ":")+1:]
			o.Config.P2P.Peers = []string{"/ip4/127.0.0.1/tcp/" + port + peerOf(t, 1)}
		}, "peers", Fail, "no signer answers there"},
		{"this signer says nowhere where it is", func(t *testing.T, w *member, o *Options) {
			o.Config.P2P.Peers = []string{listen(t, 1) + peerOf(t, 1), listen(t, 2) + peerOf(t, 2)}
			claims(t, w, map[int]string{})
		}, "addresses", OK, "others name it"},
		{"a claim that is not what the configuration says", func(t *testing.T, w *member, o *Options) {
			o.Config.P2P.Public = []string{"/dns4/signer.example.org/tcp/5040"}
			claims(t, w, map[int]string{0: "/dns4/old.example.org/tcp/5040"})
		}, "addresses", Warn, `the claim of term 3 says "/dns4/old.example.org/tcp/5040", and p2p.public`},
		{"all are where their claims say", func(t *testing.T, w *member, o *Options) {
			own := listen(t, 0)
			o.Config.P2P.Public, o.Config.P2P.Networks = []string{own}, []string{"127.0.0.0/8"}
			claims(t, w, map[int]string{0: own, 1: "/ip4/127.0.0.1/tcp/1 " + listen(t, 1), 2: listen(t, 2)})
		}, "addresses", OK, "this signer answers at /ip4/127.0.0.1/tcp/"},
		{"those that claims bring need no naming", func(t *testing.T, w *member, o *Options) {
			o.Config.P2P.Networks = []string{"127.0.0.0/8"}
			claims(t, w, map[int]string{1: listen(t, 1), 2: listen(t, 2)})
		}, "peers", "", ""},
		{"others reach somebody else at the own address", func(t *testing.T, w *member, o *Options) {
			own := listen(t, 1)
			o.Config.P2P.Public = []string{own}
			claims(t, w, map[int]string{0: own})
		}, "addresses", Fail, "from p2p.public: another signer answers there"},
		{"nobody answers at the own address", func(t *testing.T, w *member, o *Options) {
			o.Config.P2P.Public = []string{"/ip4/127.0.0.1/tcp/1"}
			claims(t, w, map[int]string{0: "/ip4/127.0.0.1/tcp/1"})
		}, "addresses", Warn, "this signer is not reached from here at /ip4/127.0.0.1/tcp/1"},
		{"a member that says nowhere where it is", func(t *testing.T, w *member, o *Options) {
			o.Config.P2P.Networks = []string{"127.0.0.0/8"}
			claims(t, w, map[int]string{1: listen(t, 1)})
		}, "addresses", Warn, "says nowhere on chain where it is, and is not in peers"},
		{"a member at a private address", func(t *testing.T, w *member, o *Options) {
			o.Config.P2P.Peers = []string{listen(t, 2) + peerOf(t, 2)}
			claims(t, w, map[int]string{1: listen(t, 1)})
		}, "addresses", Warn, "no public address: it is dialled when it is named as a peer"},
		{"a member where another answers", func(t *testing.T, w *member, o *Options) {
			o.Config.P2P.Networks = []string{"127.0.0.0/8"}
			claims(t, w, map[int]string{1: listen(t, 2), 2: listen(t, 2)})
		}, "addresses", Warn, "is not where its claim says: /ip4/127.0.0.1/tcp/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := fakemember.New(t)
			w.Publish(t)
			w.Save(t, w.Vaults...)
			o := Options{Home: w.Home, Config: fakemember.Config(), Mnemonic: w.Mnemonic, Nodes: []string{w.OtherURL}}
			o.Config.Node = w.OwnURL
			w.Registered(t, fakemember.Recipient(t, 0, 0))
			row.change(t, w, &o)
			kept := w.Kept(t)
			findings := Examine(t.Context(), o)
			require.Equal(t, kept, w.Kept(t), "a doctor changes nothing")
			worst, details := level(findings, row.check)
			require.Equal(t, row.level, worst, "%v", findings)
			require.Contains(t, details, row.detail)
			for i, f := range findings {
				require.NotContains(t, findings[:i], f, "it is said twice")
				for _, word := range strings.Fields(string(w.Mnemonic.Bytes()))[:3] {
					require.NotContains(t, strings.Fields(f.Detail), word)
				}
			}
		})
	}
}

// listen runs the node of a member, which takes part in no ceremony and refuses everybody.
func listen(t *testing.T, i byte) string {
	key, err := signer.Derive(fakemember.Mnemonic(t, i), signer.DefaultHDPath)
	require.NoError(t, err)
	node, err := tss.New(tss.Config{
		Key: key.Private(), ListenAddrs: []string{"/ip4/127.0.0.1/tcp/0"}, Log: zerolog.Nop(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { node.Close() })
	at, _, _ := strings.Cut(node.Addrs()[0], "/p2p/")
	return at
}

// peerOf is the end of a multiaddr that names a member.
func peerOf(t *testing.T, i byte) string {
	key, err := signer.Derive(fakemember.Mnemonic(t, i), signer.DefaultHDPath)
	require.NoError(t, err)
	id, err := tss.PeerID(key.PubKey())
	require.NoError(t, err)
	return "/p2p/" + id
}

// claims has the own node say where members are, by their positions.
func claims(t *testing.T, w *member, at map[int]string) {
	members := w.Own.Vaults[0].Members
	w.Own.Answers["/tssbackup.v1.Query/SignerTerm"] = func(data []byte) abci.ResponseQuery {
		var req types.QuerySignerTermRequest
		require.NoError(t, proto.Unmarshal(data, &req))
		i := slices.IndexFunc(members, func(m types.MemberInfo) bool { return m.Address == req.Address })
		value, err := proto.Marshal(&types.QuerySignerTermResponse{Term: 3, Addresses: at[i]})
		require.NoError(t, err)
		return abci.ResponseQuery{Value: value, Height: 1}
	}
}

// Whoever has the home looks at its disk, and nobody beside it.
func TestWhoLooksAtTheDisk(t *testing.T) {
	const theirs = "as the process says"
	for _, row := range []struct {
		name string
		// home is whether another process has the home, answers what it says of a disk.
		home    bool
		answers http.HandlerFunc
		level   Level
		detail  string
	}{
		{"the doctor, where no bifrost runs", false, nil, OK, "both are here"},
		{"the bifrost that runs", true, func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, json.NewEncoder(w).Encode(care.Held{Error: theirs}))
		}, Fail, theirs},
		{"the bifrost that runs, and cannot", true, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			require.NoError(t, json.NewEncoder(w).Encode(map[string]string{"error": theirs}))
		}, Fail, theirs},
		{"nobody, when a bifrost has the home and is silent", true, nil, Fail, "does not answer"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := fakemember.New(t)
			w.Publish(t)
			w.Save(t, w.Vaults...)
			w.Registered(t, fakemember.Recipient(t, 0, 0))
			w.Home = short(t, w.Home)
			if row.home {
				release, err := home.Lock(w.Home)
				require.NoError(t, err)
				defer release()
			}
			if row.answers != nil {
				mux := http.NewServeMux()
				mux.HandleFunc("POST /v1/keyshares", row.answers)
				l, err := net.Listen("unix", home.SocketPath(w.Home))
				require.NoError(t, err)
				server := &http.Server{Handler: mux}
				go server.Serve(l)
				defer server.Close()
			}
			o := Options{Home: w.Home, Config: fakemember.Config(), Mnemonic: w.Mnemonic, Nodes: []string{w.OtherURL}}
			o.Config.Node = w.OwnURL
			findings := Examine(t.Context(), o)
			worst, details := level(findings, "keyshares")
			require.Equal(t, row.level, worst, "%v", findings)
			require.Contains(t, details, row.detail)
			if row.level == Fail {
				drill, _ := level(findings, "drill")
				require.Equal(t, Fail, drill, "what is on the disk is not known: %v", findings)
			}
			release, err := home.Lock(w.Home)
			if !row.home {
				require.NoError(t, err, "the doctor lets go of the home")
				release()
			}
		})
	}
}

// short is a short way to a folder: the path of a socket has 108 bytes at most.
func short(t *testing.T, dir string) string {
	way, err := os.MkdirTemp("", "")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(way) })
	require.NoError(t, os.Symlink(dir, filepath.Join(way, "h")))
	return filepath.Join(way, "h")
}

// prove gives all vaults public shares, and the signer this proof of each.
func prove(t *testing.T, w *member, info types.ProofInfo) {
	for i := range w.Own.Vaults {
		w.Own.Vaults[i].SharesHash, w.Other.Vaults[i].SharesHash = "abcd", "abcd"
	}
	w.Own.Answers["/tssbackup.v1.Query/Proof"] = func([]byte) abci.ResponseQuery {
		value, err := proto.Marshal(&types.QueryProofResponse{Proof: info})
		require.NoError(t, err)
		return abci.ResponseQuery{Value: value}
	}
}

// look has a header verified by these witnesses, and kept.
func look(t *testing.T, w *member, witnesses ...string) {
	own, err := chain.New(w.OwnURL, 0)
	require.NoError(t, err)
	nodes, err := care.NewNodes(own, witnesses)
	require.NoError(t, err)
	c := fakemember.Config()
	v, err := care.NewVerifier(care.VerifierConfig{
		ChainID: c.ChainID, Prefix: c.Prefix, Trust: c.Trust, Member: types.SignerAddress(w.PubKey), Nodes: nodes,
		Store: w.TrustDir(), Folder: home.TrustDir(w.Home), Log: zerolog.Nop(),
	})
	require.NoError(t, err)
	_, err = v.Look(t.Context())
	require.NoError(t, err)
}

func TestClockSkew(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name  string
		block time.Time
		level Level
	}{
		{"a block of just now", now.Add(-3 * time.Second), OK},
		{"a block of the near future", now.Add(4 * time.Second), Warn},
		{"a block of the future", now.Add(time.Minute), Fail},
		{"an old block", now.Add(-2 * time.Minute), Warn},
		{"a very old block", now.Add(-time.Hour), Fail},
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
