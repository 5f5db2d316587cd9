package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"filippo.io/age"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fakekubectl"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/flaky"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/testutil/schema"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// The mnemonics are valid, and made of words that occur in no message, so that finding one in an
// output means that the mnemonic was printed.
var mnemonics = []string{
	"december noodle battle screen artist miracle exercise amused jacket rhythm marble prepare despair pigeon resist caution twenty pumpkin inmate fragile genius digital panther adjust",
	"ticket olympic capable gesture mountain burger august quality cupboard dismiss emotion holiday parrot dilemma perfect mystery anchor canyon kingdom narrow company decade mammal choice",
	"school casino rescue olympic tornado special century property venture slight permit family voyage crouch topple beauty island shoulder aerobic acquire peanut tenant famous burden",
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"recover-keyshares": main, curlStandIn: curl, "kubectl": fakekubectl.Main,
	})
}

// members are three members and two vaults of theirs. The scripts are about the first member.
type members struct {
	mnemonics []*sanity.Mnemonic
	infos     []types.MemberInfo
	keys      [][]byte
	vaults    map[string]*dealer.Vault // active, retiring
	// homeKeys are those of the first member's home.
	homeKeys *keystore.Keys
}

// keygens made the vaults.
var keygens = map[string]uint64{"active": 2, "retiring": 1}

func makeMembers(t testing.TB) *members {
	m := &members{vaults: map[string]*dealer.Vault{}}
	for _, words := range mnemonics {
		mnemonic, err := sanity.ParseMnemonic([]byte(words))
		require.NoError(t, err)
		key, err := signer.Derive(mnemonic, signer.DefaultHDPath)
		require.NoError(t, err)
		m.mnemonics = append(m.mnemonics, mnemonic)
		m.keys = append(m.keys, key.PubKey())
		m.infos = append(m.infos, types.MemberInfo{Address: key.Bech32("cosmos"), PubKey: hex.EncodeToString(key.PubKey()), Asked: true})
	}
	m.homeKeys = homekeys.Of(t, m.mnemonics[0])
	m.vaults["active"] = dealer.NewVault("active", "cosmos", m.keys)
	m.vaults["retiring"] = dealer.NewVault("retiring", "cosmos", m.keys)
	return m
}

func (m *members) vaultInfo(name string, status types.VaultStatus) types.VaultInfo {
	v := m.vaults[name]
	shares := m.dealt(name).Public
	return types.VaultInfo{
		Vault: v.Name(), PubKeyEd25519: hex.EncodeToString(v.Keys.Ed25519), Status: status, Threshold: 2, Members: m.infos,
		Epoch: keygens[name], SharesHash: hex.EncodeToString(shares.Hash(v.Keys.Secp256k1, v.Keys.Ed25519)),
	}
}

// record is what a client verifies of the vault.
func (m *members) record(name string) vault.Vault {
	v := m.vaults[name]
	record := vault.Vault{PubKey: v.Keys.Secp256k1, Vault: types.Vault{
		PubKeyEd25519: v.Keys.Ed25519, Threshold: 2, Epoch: keygens[name],
	}}
	for _, key := range m.keys {
		record.Members = append(record.Members, types.Member{PubKey: key, Asked: true})
	}
	return record
}

// dealt are the members' shares of a vault.
func (m *members) dealt(name string) *dealer.Dealt {
	return m.vaults[name].Deal(m.keys)
}

// recipient is the key that a member proves to.
func (m *members) recipient(member int) (*verenc.RecipientKey, error) {
	return verenc.NewRecipientKey(m.mnemonics[member].Seed(), 0)
}

// scene is what one script plays in.
type scene struct {
	*members
	node     *fakenode.Node
	flaky    *flaky.Proxy
	height   int64
	thornode []thornodeBackup
	// published are all envelopes that were, which places may keep.
	published [][]byte
	places    places
	// serving are the other members' stores, once an envelope is held.
	serving []*held.Store
}

type sceneKey struct{}

func TestScripts(t *testing.T) {
	m := makeMembers(t)
	thornode := thornodeBackups(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			node, url := fakenode.New(t)
			s := &scene{members: m, node: node, height: 10, thornode: thornode, flaky: flaky.New(t, url)}
			env.Setenv("FLAKY", s.flaky.URL)
			var err error
			if s.places, err = newPlaces(t, env); err != nil {
				return err
			}
			for name, status := range map[string]types.VaultStatus{
				"active": types.VaultStatus_VAULT_STATUS_ACTIVE, "retiring": types.VaultStatus_VAULT_STATUS_RETIRING,
			} {
				node.Vaults = append(node.Vaults, m.vaultInfo(name, status))
				node.Shares[m.vaults[name].Name()] = m.dealt(name).Public
				env.Setenv(strings.ToUpper(name), m.vaults[name].Name())
				env.Setenv(strings.ToUpper(name)+"8", m.vaults[name].Name()[:8])
			}
			env.Values[sceneKey{}] = s
			for name, from := range map[string]string{
				"cases": "testdata/cases", "mpcium": "../../bifrost/legacy/mpcium/testdata",
			} {
				if err := os.CopyFS(filepath.Join(env.WorkDir, name), os.DirFS(from)); err != nil {
					return err
				}
			}
			// Two nodes that agree are the least that is trusted at first.
			contrib, err := filepath.Abs(filepath.Join("..", "..", "contrib"))
			if err != nil {
				return err
			}
			env.Setenv("CONTRIB", contrib)
			env.Setenv("ONE", url)
			env.Setenv("NODE", twoNodes(url))
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			env.Setenv("MEMBER", m.infos[0].Address)
			_, raw, err := bech32.DecodeAndConvert(m.infos[0].Address)
			if err != nil {
				return err
			}
			operator, err := bech32.ConvertAndEncode("cosmosvaloper", raw)
			if err != nil {
				return err
			}
			env.Setenv("OPERATOR", operator)
			pq, err := age.GenerateHybridIdentity()
			if err != nil {
				return err
			}
			env.Setenv("PQ", pq.Recipient().String())
			env.Setenv("NOWHERE", strings.Repeat("0", 64))
			env.Setenv("OTHER", m.infos[1].Address)
			for i, name := range []string{"words", "otherwords", "thirdwords"} {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(mnemonics[i]+"\n"), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"recover":  cmdRecover,
			"publish":  cmdPublish,
			"keep":     cmdKeep,
			"hold":     cmdHold,
			"prove":    cmdProve,
			"tamper":   cmdTamper,
			"state":    cmdState,
			"rebuilt":  cmdRebuilt,
			"envelope": cmdEnvelope,
			"node":     cmdNode,
			"flaky":    cmdFlaky,
			"holds":    cmdHolds,
			"bifrost":  cmdBifrost,
			"opens":    cmdOpens,
			"thornode": cmdThornode,
			"respond":  cmdRespond,
			"group":    cmdGroup,
			"secrets":  cmdSecrets,
			"utf16":    cmdUTF16,

			"heartbeats": cmdHeartbeats,
		},
	})
}

// twoNodes names a node by two addresses, as if it were two that agree.
func twoNodes(url string) string {
	return url + "," + strings.Replace(url, "127.0.0.1", "localhost", 1)
}

// recover CODE ARGS... runs the command, requires this exit code, and that no word of a mnemonic is
// in what it prints.
func cmdRecover(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	err := ts.Exec("recover-keyshares", args[1:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d instead of %s", code, args[0])
	}
	if schema.Asked(args) {
		ts.Check(schema.Check([]byte(ts.ReadFile("stdout")), code))
	}
	for _, stream := range []string{"stdout", "stderr"} {
		text := strings.ToLower(ts.ReadFile(stream))
		for _, words := range mnemonics {
			for _, word := range strings.Fields(words) {
				if strings.Contains(text, word) {
					ts.Fatalf("%s holds a word of a mnemonic", stream)
				}
			}
		}
	}
}

// seal makes an envelope of one of these kinds from a vault's keyshares.
func (s *scene) seal(vault, kind string) ([]byte, error) {
	v, mnemonic := s.vaults[vault], s.mnemonics[0]
	files := v.Files[0]
	switch kind {
	case "good":
	case "foreign": // another member's, as it published it
		files, mnemonic = v.Files[1], s.mnemonics[1]
	case "mixed-up": // another member's keyshares under this member's mnemonic
		files = v.Files[1]
	case "half":
		files = files[:1]
	case "unsound":
		file, err := unsound(files[0])
		if err != nil {
			return nil, err
		}
		files = []fixture.File{file, files[1]}
	case "split":
		return s.sealSplit(vault)
	case "garbage":
		return []byte(sanity.EnvelopePrefix + "what is this?"), nil
	default:
		return nil, fmt.Errorf("no kind %q", kind)
	}
	return seal(mnemonic, files)
}

func seal(mnemonic *sanity.Mnemonic, files []fixture.File) ([]byte, error) {
	var in []envelope.File
	for _, f := range files {
		in = append(in, envelope.File{Name: f.Name, Data: f.Data})
	}
	return envelope.Seal(in, mnemonic, envelope.WithWorkFactor(10))
}

// publish VAULT KIND [MEMBER] publishes an envelope, for the first member unless another is given
// by its number.
func cmdPublish(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	sealed, err := s.seal(args[0], args[1])
	ts.Check(err)
	member := 0
	if len(args) > 2 {
		member, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	s.node.Publish(s.vaults[args[0]].Name(), s.infos[member].Address, s.height, sealed)
	s.height++
	s.published = append(s.published, sealed)
}

// envelope FILE VAULT KIND writes an envelope to a file.
func cmdEnvelope(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	sealed, err := s.seal(args[1], args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), sealed, 0o600))
}

// node STATE changes the node or what it holds.
func cmdNode(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	s.node.Lock()
	defer s.node.Unlock()
	switch args[0] {
	case "prunes":
		s.node.Earliest = s.node.Height
	case "empties-blocks":
		clear(s.node.Blocks)
	case "archives":
		s.node.Archive = true
	case "advances": // by this many blocks
		count, err := strconv.Atoi(args[1])
		ts.Check(err)
		s.node.Unlock()
		s.node.Advance(count)
		s.node.Lock()
	case "changes": // its validators, all of them
		s.node.Validators = fakenode.NewValidators(args[1], 4)
	case "halted": // this long ago
		age, err := time.ParseDuration(args[1])
		ts.Check(err)
		s.node.Start = time.Now().Add(-age).Truncate(time.Second).UTC()
	case "writes": // its accounts with this prefix
		s.node.Prefix = args[1]
	case "is": // of this id
		s.node.ID = p2p.ID(args[1])
	case "catches-up":
		s.node.CatchingUp = true
	case "reshared": // one vault, to epoch 9, which left so many members of each epoch outside
		for i, v := range s.node.Vaults {
			if v.Vault != s.vaults[args[1]].Name() {
				continue
			}
			s.node.Vaults[i].Epoch = 9
			for j, text := range args[2:] {
				outside, err := strconv.Atoi(text)
				ts.Check(err)
				former := types.FormerEpoch{Epoch: uint64(j + 3), Threshold: 3, Outside: uint32(outside)}
				s.node.Vaults[i].Former = append(s.node.Vaults[i].Former, former)
			}
		}
	case "retires": // one vault
		for i, v := range s.node.Vaults {
			if v.Vault == s.vaults[args[1]].Name() {
				s.node.Vaults[i].Status = types.VaultStatus_VAULT_STATUS_RETIRED
			}
		}
	default:
		ts.Fatalf("no state %q", args[0])
	}
}

// flaky FIRST COUNT FAULT... has $FLAKY fail at these of the requests that follow.
func cmdFlaky(ts *testscript.TestScript, _ bool, args []string) {
	first, err := strconv.Atoi(args[0])
	ts.Check(err)
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	fault, ok := flaky.Named(strings.Join(args[2:], " "))
	if !ok {
		ts.Fatalf("no fault %q", args[2:])
	}
	ts.Value(sceneKey{}).(*scene).flaky.Fail(fault, first, count)
}

// holds DIR VAULT... requires that DIR holds the first member's keyshares of these vaults and
// nothing else; without vaults, that it does not exist or is empty. In a home they are sealed.
func cmdHolds(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	want := map[string]string{}
	dir := ts.MkAbs(args[0])
	for _, vault := range args[1:] {
		for _, f := range s.vaults[vault].Files[0] {
			name := f.Name
			if home.Of(dir) != "" || strings.HasSuffix(dir, "data/bifrost/keyshares") {
				name = fmt.Sprintf("%d/%s.age", keygens[vault], name)
			}
			want[name] = string(f.Data)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		ts.Check(err)
	}
	if len(entries) > 0 {
		info, err := os.Stat(dir)
		ts.Check(err)
		if info.Mode().Perm() != 0o700 {
			ts.Fatalf("%s has mode %o", args[0], info.Mode().Perm())
		}
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		ts.Check(err)
		data, err := os.ReadFile(path)
		ts.Check(err)
		if filepath.Ext(path) == ".age" {
			data, err = s.homeKeys.Open(data)
			ts.Check(err)
		}
		name, err := filepath.Rel(dir, path)
		ts.Check(err)
		if want[name] != string(data) || info.Mode().Perm() != 0o600 {
			ts.Fatalf("%s is not what it should be, or its mode is not: %o", name, info.Mode().Perm())
		}
		delete(want, name)
		return nil
	})
	if !errors.Is(err, fs.ErrNotExist) {
		ts.Check(err)
	}
	if len(want) > 0 {
		ts.Fatalf("%d files are missing", len(want))
	}
}

// opens IDENTITY DIR requires that the identity file opens every age file below a folder, or none.
func cmdOpens(ts *testscript.TestScript, neg bool, args []string) {
	ids, err := age.ParseIdentities(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	count := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".age" {
			return err
		}
		count++
		data, err := os.ReadFile(path)
		ts.Check(err)
		if _, err := age.Decrypt(bytes.NewReader(data), ids...); (err == nil) == neg {
			ts.Fatalf("%s: %v", path, err)
		}
		return nil
	}))
	if count == 0 {
		ts.Fatalf("%s has no age file", args[1])
	}
}

// bifrost HOME has a bifrost run there until the script ends.
func cmdBifrost(ts *testscript.TestScript, _ bool, args []string) {
	release, err := home.Lock(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(release)
}

// utf16 FROM TO writes a text as PowerShell does.
func cmdUTF16(ts *testscript.TestScript, _ bool, args []string) {
	text := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(ts.ReadFile(args[0]))) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
}
