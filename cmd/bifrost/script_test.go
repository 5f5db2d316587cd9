package main

import (
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	abci "github.com/cometbft/cometbft/abci/types"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fakekubectl"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/fakes3"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/testutil/schema"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// The mnemonics are valid, and made of words that occur in no message, so that finding one in an
// output means that the mnemonic was printed.
var mnemonics = []string{
	"december noodle battle screen artist miracle exercise amused jacket rhythm marble prepare despair pigeon resist caution twenty pumpkin inmate fragile genius digital panther adjust",
	"ticket olympic capable gesture mountain burger august quality cupboard dismiss emotion holiday parrot dilemma perfect mystery anchor canyon kingdom narrow company decade mammal choice",
}

// twelveWords is good for opening, not for sealing.
const twelveWords = "legal winner thank year wave sausage worth useful legal winner thank yellow"

const (
	operator      = "cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2"
	otherOperator = "cosmosvaloper1zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3yfrh7u"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bifrost": main, "kubectl": fakekubectl.Main})
}

func address(t testing.TB, words string) string {
	m, err := sanity.ParseMnemonic([]byte(words))
	require.NoError(t, err)
	key, err := signer.Derive(m, signer.DefaultHDPath)
	require.NoError(t, err)
	return key.Bech32("cosmos")
}

// ageRecipients are one of each kind, and the one of the home of the first mnemonic.
func ageRecipients(t testing.TB) map[string]string {
	x25519, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	m, err := sanity.ParseMnemonic([]byte(mnemonics[0]))
	require.NoError(t, err)
	return map[string]string{
		"RECIPIENT": x25519.Recipient().String(), "HYBRID": hybrid.Recipient().String(),
		"OWN": homekeys.Of(t, m).Recipients()[0],
	}
}

// scene is what one script plays in: a node, the signers that it knows by operator, and the
// operators of those that were replaced.
type scene struct {
	node            *fakenode.Node
	signers, former map[string]string
	// recipients are the signers' recipient keys by their addresses.
	recipients map[string]types.Recipient
	// term is that of the one signer that claims.
	term types.QuerySignerTermResponse
}

type sceneKey struct{}

type bucketKey struct{}

// ownVault is a vault of the signer of the first mnemonic and two others.
func ownVault(t testing.TB) *dealer.Vault {
	dealing.Do(func() {
		var keys [][]byte
		for _, words := range append(slices.Clone(mnemonics), twelveWords) {
			m, err := sanity.ParseMnemonic([]byte(words))
			require.NoError(t, err)
			key, err := signer.Derive(m, signer.DefaultHDPath)
			require.NoError(t, err)
			keys = append(keys, key.PubKey())
		}
		dealt = dealer.NewVault("own", "cosmos", keys)
	})
	return dealt
}

var (
	dealing sync.Once
	dealt   *dealer.Vault
)

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			node, url := fakenode.New(t)
			s := &scene{node: node, signers: map[string]string{}, former: map[string]string{}, recipients: map[string]types.Recipient{}}
			node.Answers["/tssbackup.v1.Query/Signer"] = s.signer
			node.Answers["/tssbackup.v1.Query/SignerTerm"] = func([]byte) abci.ResponseQuery {
				return answer(&s.term)
			}
			node.Answers["/cosmos.auth.v1beta1.Query/AccountInfo"] = func([]byte) abci.ResponseQuery {
				return abci.ResponseQuery{Value: []byte{0x0a, 4, 0x18, 7, 0x20, 3}} // number 7, sequence 3
			}
			s.term.FreeClaims = types.MaxExemptClaims
			node.Broadcast = s.claim
			node.Answers["/tssbackup.v1.Query/Keygens"] = func([]byte) abci.ResponseQuery {
				return answer(&types.QueryKeygensResponse{})
			}
			node.Answers["/cosmos.base.node.v1beta1.Service/Config"] = func([]byte) abci.ResponseQuery {
				return abci.ResponseQuery{Value: []byte("\x0a\x14" + "0.025uatom,0.1ustake")}
			}
			env.Values[sceneKey{}] = s
			contrib, err := filepath.Abs(filepath.Join("..", "..", "contrib"))
			if err != nil {
				return err
			}
			env.Setenv("CONTRIB", contrib)
			env.Setenv("NODE", url)
			env.Setenv("CHAIN", node.ChainID)
			env.Setenv("OPERATOR", operator)
			env.Setenv("OTHER_OPERATOR", otherOperator)
			env.Setenv("SIGNER", address(t, mnemonics[0]))
			for name, recipient := range ageRecipients(t) {
				env.Setenv(name, recipient)
			}
			wrapping, err := age.GenerateX25519Identity()
			if err != nil {
				return err
			}
			env.Setenv("WRAPPING", wrapping.Recipient().String())
			identity := []byte(wrapping.String() + "\n")
			if err := os.WriteFile(filepath.Join(env.WorkDir, "identity"), identity, 0o600); err != nil {
				return err
			}
			env.Setenv("STRANGER", address(t, homekeys.Words))
			env.Setenv("VAULT", ownVault(t).Name())
			server, bucket := fakes3.New(t)
			env.Values[bucketKey{}] = server
			env.Setenv("BUCKET", bucket)
			key := []byte(fakes3.AccessKey + "\n" + fakes3.SecretKey + "\n")
			if err := os.WriteFile(filepath.Join(env.WorkDir, "key"), key, 0o600); err != nil {
				return err
			}
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_DATA_HOME", "")
			for name, words := range map[string]string{"words": mnemonics[0], "otherwords": mnemonics[1], "twelve": twelveWords} {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(words+"\n"), 0o600); err != nil {
					return err
				}
			}
			for _, f := range fixture.Keyshares(t, 4, 0) {
				if err := os.WriteFile(filepath.Join(env.WorkDir, f.Name), f.Data, 0o600); err != nil {
					return err
				}
			}
			// Those of the words are in a folder of their own.
			own := filepath.Join(env.WorkDir, "own")
			if err := os.Mkdir(own, 0o700); err != nil {
				return err
			}
			for _, f := range ownVault(t).Files[0] {
				if err := os.WriteFile(filepath.Join(own, f.Name), f.Data, 0o600); err != nil {
					return err
				}
			}
			// The next member's are apart from the first one's.
			another := filepath.Join(env.WorkDir, "another")
			if err := os.Mkdir(another, 0o700); err != nil {
				return err
			}
			for _, f := range fixture.Keyshares(t, 4, 1) {
				if err := os.WriteFile(filepath.Join(another, f.Name), f.Data, 0o600); err != nil {
					return err
				}
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "preparams.json"), fixture.PreParams()[0].Data, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"run":      cmdRun,
			"quiet":    func(ts *testscript.TestScript, _ bool, _ []string) { checkQuiet(ts) },
			"register": cmdRegister,
			"await":    cmdAwait,
			"mode":     cmdMode,
			"bucket":   cmdBucket,
			"vault":    cmdVault,
			"advance":  cmdAdvance,
		},
	})
}

func answer(msg proto.Message) abci.ResponseQuery {
	value, err := proto.Marshal(msg)
	if err != nil {
		panic(err)
	}
	return abci.ResponseQuery{Value: value}
}

// signer answers as the chain does. The node holds its lock.
func (s *scene) signer(data []byte) abci.ResponseQuery {
	var req types.QuerySignerRequest
	if err := proto.Unmarshal(data, &req); err != nil {
		panic(err)
	}
	for operator, address := range s.signers {
		if req.Address == operator || req.Address == address || s.former[req.Address] == operator {
			recipient := s.recipients[address]
			return answer(&types.QuerySignerResponse{Signer: types.SignerInfo{
				Operator: operator, Address: address, RecipientKey: hex.EncodeToString(recipient.Key), RecipientIndex: recipient.Index,
			}})
		}
	}
	return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: sdkerrors.ErrKeyNotFound.ABCICode(), Log: "not found"}
}

// claim takes the claims of a signer, as if each had a block of its own.
func (s *scene) claim(raw []byte) (*ctypes.ResultBroadcastTx, error) {
	var signed tx.TxRaw
	var body tx.TxBody
	var msg types.MsgClaimSigner
	if err := errors.Join(proto.Unmarshal(raw, &signed), proto.Unmarshal(signed.BodyBytes, &body),
		proto.Unmarshal(body.Messages[0].Value, &msg)); err != nil {
		return nil, err
	}
	if msg.ExpectedTerm == s.term.Term {
		s.term.Term, s.term.Nonce = s.term.Term+1, hex.EncodeToString(msg.Nonce)
	}
	return &ctypes.ResultBroadcastTx{}, nil
}

// register OPERATOR FILE [INDEX [OTHERFILE]] registers the signer of the mnemonic in a file with
// its recipient key at the index, or, as no bifrost would, with that of another mnemonic.
func cmdRegister(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	m, err := sanity.ParseMnemonic([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	key, err := signer.Derive(m, signer.DefaultHDPath)
	ts.Check(err)
	address, recipient := key.Bech32("cosmos"), types.Recipient{}
	if len(args) > 2 {
		index, err := strconv.ParseUint(args[2], 10, 32)
		ts.Check(err)
		recipient.Index = uint32(index)
	}
	if len(args) > 3 {
		m, err = sanity.ParseMnemonic([]byte(ts.ReadFile(args[3])))
		ts.Check(err)
	}
	secret, err := signer.DeriveRecipient(m, recipient.Index)
	ts.Check(err)
	recipient.Key = secret.Public()
	s.node.Lock()
	defer s.node.Unlock()
	if before, ok := s.signers[args[0]]; ok && before != address {
		s.former[before] = args[0]
	}
	s.signers[args[0]], s.recipients[address] = address, recipient
}

// run CODE ARGS... runs bifrost, requires this exit code, and that no word of a mnemonic is in what
// it prints.
func cmdRun(ts *testscript.TestScript, _ bool, args []string) {
	if code := runBifrost(ts, args[1:]); strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d instead of %s", code, args[0])
	}
}

func runBifrost(ts *testscript.TestScript, args []string) int {
	err := ts.Exec("bifrost", args...)
	checkQuiet(ts)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if schema.Asked(args) {
		ts.Check(schema.Check([]byte(ts.ReadFile("stdout")), code))
	}
	return code
}

// checkQuiet requires that the last output holds no word of the known mnemonics, and no three words
// in a row of one that was drawn.
func checkQuiet(ts *testscript.TestScript) {
	for _, stream := range []string{"stdout", "stderr"} {
		text := strings.ToLower(ts.ReadFile(stream))
		printed := strings.FieldsFunc(text, func(r rune) bool { return r < 'a' || r > 'z' })
		for _, words := range mnemonics {
			for _, word := range strings.Fields(words) {
				if slices.Contains(printed, word) {
					ts.Fatalf("%s holds a word of a mnemonic", stream)
				}
			}
		}
		drawn, err := os.ReadFile(ts.MkAbs("fresh/mnemonic"))
		if err != nil {
			continue
		}
		words := strings.Fields(string(drawn))
		text = strings.Join(strings.Fields(text), " ")
		for i := range len(words) - 2 {
			if strings.Contains(text, strings.Join(words[i:i+3], " ")) {
				ts.Fatalf("%s holds words of the mnemonic that was drawn", stream)
			}
		}
	}
}

// await CODE TEXT ARGS... runs the command until it ends with this code and its standard output
// holds the text.
func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.After(time.Minute)
	for {
		code := runBifrost(ts, args[2:])
		if strconv.Itoa(code) == args[0] && strings.Contains(ts.ReadFile("stdout"), args[1]) {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("exit code %d, and no %q in its output", code, args[1])
		default:
		}
	}
}

// mode MODE FILE requires a file's mode.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatInt(int64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s", args[1], got)
	}
}

// bucket lose|spoil PATTERN takes the objects away whose keys hold the pattern, or puts other bytes
// in their place.
func cmdBucket(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(bucketKey{}).(*fakes3.Server)
	s.Lock()
	defer s.Unlock()
	found := false
	for key := range s.Objects {
		if !strings.Contains(key, args[1]) {
			continue
		}
		if found = true; args[0] == "lose" {
			delete(s.Objects, key)
		} else {
			s.Objects[key] = []byte("other bytes")
		}
	}
	if !found {
		ts.Fatalf("no key holds %s", args[1])
	}
}

// vault EPOCH has the chain know the vault of ownVault, in this epoch. Two of three members sign.
func cmdVault(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	epoch, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	info := types.VaultInfo{
		Vault: dealt.Name(), PubKeyEd25519: hex.EncodeToString(dealt.Keys.Ed25519),
		Status: types.VaultStatus_VAULT_STATUS_ACTIVE, Epoch: epoch, Threshold: 2,
	}
	v := vault.Vault{PubKey: dealt.Keys.Secp256k1, Vault: types.Vault{
		PubKeyEd25519: dealt.Keys.Ed25519, Epoch: epoch,
	}}
	for _, words := range append(slices.Clone(mnemonics), twelveWords) {
		m, err := sanity.ParseMnemonic([]byte(words))
		ts.Check(err)
		key, err := signer.Derive(m, signer.DefaultHDPath)
		ts.Check(err)
		info.Members = append(info.Members, types.MemberInfo{
			Address: key.Bech32("cosmos"), PubKey: hex.EncodeToString(key.PubKey()), Asked: true,
		})
		v.Members = append(v.Members, types.Member{PubKey: key.PubKey()})
	}
	slices.SortFunc(info.Members, func(a, b types.MemberInfo) int { return strings.Compare(a.PubKey, b.PubKey) })
	var files []envelope.File
	for _, f := range dealt.Files[0] {
		files = append(files, envelope.File{Name: f.Name, Data: f.Data})
	}
	m, err := sanity.ParseMnemonic([]byte(mnemonics[0]))
	ts.Check(err)
	key, err := signer.Derive(m, signer.DefaultHDPath)
	ts.Check(err)
	keys, err := keyfiles.Check(v, files, key.PubKey())
	ts.Check(err)
	public, err := keys.PublicShares()
	ts.Check(err)
	info.SharesHash = hex.EncodeToString(public.Hash(v.PubKey, v.PubKeyEd25519))
	s.node.Lock()
	defer s.node.Unlock()
	s.node.Vaults = []types.VaultInfo{info}
	s.node.Shares[info.Vault] = public
}

// advance BLOCKS has the chain go on by so many blocks.
func cmdAdvance(ts *testscript.TestScript, _ bool, args []string) {
	blocks, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Value(sceneKey{}).(*scene).node.Advance(blocks)
}
