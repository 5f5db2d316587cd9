package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	chainID = "fake-1"
	height  = 1000
	expiry  = height + 50
)

// world is a vault of three members, of whom two sign, the first one's keyshares, and a wrapping
// key. The fourth key is of no member.
type world struct {
	v       vault.Vault
	keys    []*signer.Key
	files   [][]envelope.File
	to      *age.X25519Identity
	subject Subject
}

var deal = sync.OnceValue(func() []*dealer.Vault {
	var keys [][]byte
	for i := range 3 {
		keys = append(keys, memberKey(byte(i)).PubKey())
	}
	return []*dealer.Vault{
		dealer.NewVault("transfer", "cosmos", keys), dealer.NewVault("another", "cosmos", keys),
	}
})

// memberKey is the key of the mnemonic at a position.
func memberKey(i byte) *signer.Key {
	key, err := signer.Derive(fakemember.Mnemonic(&testing.B{}, i), signer.DefaultHDPath)
	if err != nil {
		panic(err)
	}
	return key
}

func newWorld(t testing.TB) *world {
	dealt := deal()[0]
	w := &world{v: vault.Vault{PubKey: dealt.Keys.Secp256k1, Vault: types.Vault{
		PubKeyEd25519: dealt.Keys.Ed25519, Epoch: 7, Threshold: 2,
		Status: types.VaultStatus_VAULT_STATUS_ACTIVE,
	}}}
	var keys [][]byte
	for i := range 4 {
		w.keys = append(w.keys, memberKey(byte(i)))
		if i < 3 {
			keys = append(keys, w.keys[i].PubKey())
			w.v.Members = append(w.v.Members, types.Member{PubKey: keys[i]})
			w.files = append(w.files, filesOf(dealt, i))
		}
	}
	slices.SortFunc(w.v.Members, func(a, b types.Member) int { return bytes.Compare(a.PubKey, b.PubKey) })
	checked, err := keyfiles.Check(w.v, w.files[0], keys[0])
	require.NoError(t, err)
	public, err := checked.PublicShares()
	require.NoError(t, err)
	w.v.SharesHash = public.Hash(w.v.PubKey, w.v.PubKeyEd25519)
	w.to, err = age.GenerateX25519Identity()
	require.NoError(t, err)
	w.subject = Subject{
		ChainID: chainID, Vault: w.v.Name(), Epoch: 7, Member: w.keys[0].Bech32("cosmos"),
		To: w.to.Recipient().String(),
	}
	return w
}

func filesOf(v *dealer.Vault, member int) (files []envelope.File) {
	for _, f := range v.Files[member] {
		files = append(files, envelope.File{Name: f.Name, Data: bytes.Clone(f.Data)})
	}
	return files
}

func (w *world) approve(t testing.TB, member int, s Subject, expiry int64) Approval {
	a, err := Approve(w.keys[member], "cosmos", s, expiry)
	require.NoError(t, err)
	return a
}

// agreed are the approvals of the first and the second member.
func (w *world) agreed(t testing.TB) []Approval {
	return []Approval{w.approve(t, 0, w.subject, expiry), w.approve(t, 1, w.subject, expiry)}
}

func TestApprovalsAreHeldAgainstTheVault(t *testing.T) {
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	second := func(change func(w *world, s *Subject)) func(*testing.T, *world, []Approval) []Approval {
		return func(t *testing.T, w *world, all []Approval) []Approval {
			s := w.subject
			change(w, &s)
			return []Approval{all[0], w.approve(t, 1, s, expiry)}
		}
	}
	expires := func(at int64) func(*testing.T, *world, []Approval) []Approval {
		return func(t *testing.T, w *world, all []Approval) []Approval {
			return []Approval{all[0], w.approve(t, 1, w.subject, at)}
		}
	}
	for _, row := range []struct {
		name   string
		change func(t *testing.T, w *world, all []Approval) []Approval
		says   string // nothing where they agree
	}{
		{"as many members as sign approve", func(_ *testing.T, _ *world, all []Approval) []Approval { return all }, ""},
		{"all members approve", func(t *testing.T, w *world, all []Approval) []Approval {
			return append(all, w.approve(t, 2, w.subject, expiry))
		}, ""},
		{"others than the member whose keyshares they are approve", func(t *testing.T, w *world, all []Approval) []Approval {
			return []Approval{all[1], w.approve(t, 2, w.subject, expiry)}
		}, ""},
		{"one counts in this block for the last time", expires(height), ""},
		{"one expires as late as it may", expires(height + MaxBlocks), ""},
		{"nobody approves", func(*testing.T, *world, []Approval) []Approval { return nil }, "0 members approve, and 2 of 3"},
		{"too few approve", func(_ *testing.T, _ *world, all []Approval) []Approval { return all[:1] }, "1 members approve, and 2 of 3"},
		{"one is for another chain", second(func(_ *world, s *Subject) { s.ChainID = "fake-2" }), `for chain "fake-2"`},
		{"one is for another vault", second(func(_ *world, s *Subject) { s.Vault = deal()[1].Name() }), "for vault " + deal()[1].Name()},
		{"one is for another epoch", second(func(_ *world, s *Subject) { s.Epoch = 6 }), "for epoch 6, and the vault is in epoch 7"},
		{"one is for another member", second(func(w *world, s *Subject) { s.Member = w.keys[1].Bech32("cosmos") }), "for the keyshares of"},
		{"one is for another wrapping key", second(func(_ *world, s *Subject) { s.To = other.Recipient().String() }), "for the wrapping key"},
		{"one has expired", expires(height - 1), "it has expired: it counted up to block 999"},
		{"one expires too far ahead", expires(height + MaxBlocks + 1), "more than 10000 blocks after"},
		{"one member approves twice", func(t *testing.T, w *world, all []Approval) []Approval {
			return []Approval{all[0], w.approve(t, 0, w.subject, expiry+1)}
		}, "approves twice"},
		{"one is of who is no member", func(t *testing.T, w *world, all []Approval) []Approval {
			return append(all, w.approve(t, 3, w.subject, expiry))
		}, "who approves is no member"},
		{"one has another's signature", func(_ *testing.T, _ *world, all []Approval) []Approval {
			all[1].Signature = all[0].Signature
			return all
		}, "its signature is wrong"},
		{"the expiry was changed after it was signed", func(_ *testing.T, _ *world, all []Approval) []Approval {
			all[1].Expiry++
			return all
		}, "its signature is wrong"},
		{"the vault was reshared since", func(_ *testing.T, w *world, all []Approval) []Approval {
			w.v.Epoch = 8
			return all
		}, "the vault is in epoch 8: approve anew"},
		{"the vault is retired", func(_ *testing.T, w *world, all []Approval) []Approval {
			w.v.Status = types.VaultStatus_VAULT_STATUS_RETIRED
			return all
		}, "is not alive"},
		{"they are the keyshares of who is no member", func(t *testing.T, w *world, _ []Approval) []Approval {
			w.subject.Member = w.keys[3].Bech32("cosmos")
			return w.agreed(t)
		}, "is no member of the vault"},
		{"the record has no threshold", func(_ *testing.T, w *world, all []Approval) []Approval {
			w.v.Threshold = 0
			return all
		}, "2 members approve, and 0 of 3"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			all := row.change(t, w, w.agreed(t))
			err := Verify(w.v, w.subject, height, all)
			if row.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrRefused)
			require.Contains(t, err.Error(), row.says)
		})
	}
}

func TestAnApprovalIsReadInOneWriting(t *testing.T) {
	w := newWorld(t)
	data, err := w.agreed(t)[0].Encode()
	require.NoError(t, err)
	again, err := ParseApproval(data)
	require.NoError(t, err)
	require.Equal(t, w.agreed(t)[0], again)
	with := func(old, changed string) []byte {
		require.Contains(t, string(data), old)
		return []byte(strings.Replace(string(data), old, changed, 1))
	}
	for _, row := range []struct {
		name string
		data []byte
		says string
	}{
		{"nothing", nil, "not the JSON"},
		{"a line less", bytes.TrimSpace(data), "not written as"},
		{"a line more", append(bytes.Clone(data), '\n'), "not written as"},
		{"white space", with(`,"epoch"`, `, "epoch"`), "not written as"},
		{"a field that nobody knows", with(`{`, `{"note":"x",`), "not written as"},
		{"a field twice", with(`{`, `{"epoch":6,`), "not written as"},
		{"another format", with("approval/v1", "approval/v2"), "its format is"},
		{"no chain", with(`"fake-1"`, `""`), "names no chain"},
		{"no epoch", with(`"epoch":7`, `"epoch":0`), "names no epoch"},
		{"no vault", with(w.v.Name(), "02"), "no name of one"},
		{"an address with a wrong character", with(w.subject.Member, w.subject.Member+"q"), "its member"},
		{"an address in upper case", with(w.subject.Member, strings.ToUpper(w.subject.Member)), "its member"},
		{"a wrapping key of the hybrid kind", with(w.subject.To, "age1pq1qqqq"), ErrRecipient.Error()},
		{"no expiry", with(fmt.Sprint(expiry), "0"), "no block"},
		{"a negative expiry", with(fmt.Sprint(expiry), "-5"), "no block"},
		{"a signature in upper case", with(again.Signature, strings.ToUpper(again.Signature)), "64 bytes in hex"},
		{"a short signature", with(again.Signature, again.Signature[2:]), "64 bytes in hex"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := ParseApproval(row.data)
			require.ErrorIs(t, err, ErrRefused)
			require.Contains(t, err.Error(), row.says)
		})
	}
}

func TestAnApprovalIsNotSignedForWhatIsNone(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(s *Subject){
		"an address of another chain":       func(s *Subject) { s.Member = w.keys[0].Bech32("thor") },
		"a wrapping key that is none":       func(s *Subject) { s.To = "age1" },
		"a wrapping key of an SSH key":      func(s *Subject) { s.To = "ssh-ed25519 AAAA" },
		"a vault by its first digits alone": func(s *Subject) { s.Vault = s.Vault[:8] },
	} {
		s := w.subject
		change(&s)
		_, err := Approve(w.keys[1], "cosmos", s, expiry)
		require.Error(t, err, name)
	}
}

// The message of an approval has one reading: approvals of different contents never share one.
func TestNoTwoApprovalsAreSignedAsTheSame(t *testing.T) {
	w := newWorld(t)
	one := w.agreed(t)[0]
	rapid.Check(t, func(r *rapid.T) {
		other := one
		other.ChainID = rapid.StringN(1, 8, 30).Draw(r, "chain")
		other.Epoch = rapid.Uint64Min(1).Draw(r, "epoch")
		other.Expiry = rapid.Int64Min(1).Draw(r, "expiry")
		same := other.ChainID == one.ChainID && other.Epoch == one.Epoch && other.Expiry == one.Expiry
		if bytes.Equal(one.message(), other.message()) != same {
			r.Fatalf("%v and %v", one, other)
		}
	})
}

// seal exports the first member's keyshares.
func (w *world) seal(t testing.TB) []byte {
	sealed, err := Seal(w.keys[0], w.subject, w.agreed(t), w.files[0])
	require.NoError(t, err)
	return sealed
}

func (w *world) open(sealed []byte) (*Export, error) {
	return Open(sealed, []byte("# created by age-keygen\n"+w.to.String()+"\n"))
}

func TestWhatWasExportedIsImported(t *testing.T) {
	w := newWorld(t)
	sealed := w.seal(t)
	for _, f := range w.files[0] {
		require.NotContains(t, string(sealed), string(f.Data[:64]))
	}
	e, err := w.open(sealed)
	require.NoError(t, err)
	require.NoError(t, e.Check(w.v, chainID, height, w.keys[0].PubKey()))
	require.Equal(t, w.files[0], e.Files)
	require.Equal(t, w.subject, e.Subject)
	require.EqualValues(t, expiry, Expiry(e.Approvals))
	require.Len(t, Approvers(e.Approvals), 2)
	e.Wipe()
	for _, f := range e.Files {
		require.Equal(t, make([]byte, len(f.Data)), f.Data)
	}
}

// The record of a split vault has the hash of its group part, against which whole keyshares are held.
func TestTheKeysharesOfASplitVaultAreExported(t *testing.T) {
	w := newWorld(t)
	keys, err := keyfiles.Check(w.v, w.files[0], w.keys[0].PubKey())
	require.NoError(t, err)
	group, err := keys.GroupPart()
	require.NoError(t, err)
	ofWhole := w.v.SharesHash
	w.v.Split = true
	w.v.SharesHash, err = w.v.GroupHash(group)
	require.NoError(t, err)
	require.NoError(t, CheckKeyshares(w.v, w.files[0], w.keys[0].PubKey()))
	e, err := w.open(w.seal(t))
	require.NoError(t, err)
	defer e.Wipe()
	require.NoError(t, e.Check(w.v, chainID, height, w.keys[0].PubKey()))
	require.Equal(t, w.files[0], e.Files)

	// The hash of the same public shares without the parameters is not one of a group part.
	w.v.SharesHash = ofWhole
	require.ErrorIs(t, CheckKeyshares(w.v, w.files[0], w.keys[0].PubKey()), keyfiles.ErrKeyshares)
	require.ErrorIs(t, e.Check(w.v, chainID, height, w.keys[0].PubKey()), keyfiles.ErrKeyshares)
	// Nor is the group part of another vault.
	w.v.SharesHash, err = w.v.GroupHash(append(bytes.Clone(group[:len(group)-1]), group[len(group)-1]^1))
	require.NoError(t, err)
	require.ErrorIs(t, e.Check(w.v, chainID, height, w.keys[0].PubKey()), keyfiles.ErrKeyshares)
}

// reseal seals what is in an exported file anew after a change, as who has the wrapping key can.
func (w *world) reseal(t *testing.T, change func(plain []byte) []byte) []byte {
	r, err := age.Decrypt(bytes.NewReader(w.seal(t)), w.to)
	require.NoError(t, err)
	var plain, sealed bytes.Buffer
	_, err = plain.ReadFrom(r)
	require.NoError(t, err)
	to, err := age.Encrypt(&sealed, w.to.Recipient())
	require.NoError(t, err)
	_, err = to.Write(change(plain.Bytes()))
	require.NoError(t, err)
	require.NoError(t, to.Close())
	return sealed.Bytes()
}

func TestWhatIsImportedIsCheckedFirst(t *testing.T) {
	stranger, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	replace := func(old, changed string) func(*testing.T, *world) []byte {
		return func(t *testing.T, w *world) []byte {
			return w.reseal(t, func(plain []byte) []byte {
				require.Contains(t, string(plain), old)
				return bytes.Replace(plain, []byte(old), []byte(changed), 1)
			})
		}
	}
	sealWith := func(key int, files func(w *world) []envelope.File) func(*testing.T, *world) []byte {
		return func(t *testing.T, w *world) []byte {
			sealed, err := Seal(w.keys[key], w.subject, w.agreed(t), files(w))
			require.NoError(t, err)
			return sealed
		}
	}
	own := func(w *world) []envelope.File { return w.files[0] }
	for _, row := range []struct {
		name string
		make func(t *testing.T, w *world) []byte
		kind error
		says string
	}{
		{"the file was torn", func(t *testing.T, w *world) []byte { s := w.seal(t); return s[:len(s)-1] }, ErrFile, "torn"},
		{"a byte of the file was changed", func(t *testing.T, w *world) []byte {
			s := w.seal(t)
			s[len(s)-100] ^= 1
			return s
		}, ErrFile, "torn"},
		{"it is sealed for another key", func(t *testing.T, w *world) []byte {
			s := w.seal(t)
			w.to = stranger
			return s
		}, ErrFile, "no identity"},
		{"members approved of another key than it is sealed for", func(t *testing.T, w *world) []byte {
			from := w.to.Recipient().String()
			return w.reseal(t, func(plain []byte) []byte {
				return bytes.ReplaceAll(plain, []byte(from), []byte(stranger.Recipient().String()))
			})
		}, ErrFile, "another key than its members approved of"},
		{"its manifest has another epoch", replace(`"epoch":7`, `"epoch":8`), ErrRefused, "the vault is in epoch 7"},
		{"its manifest is of another format", replace("tssbackup/export/v1", "tssbackup/export/v2"), ErrFile, "its format is"},
		{"its manifest has white space", replace(`,"files"`, `, "files"`), ErrFile, "not written as"},
		{"a keyshare in it was changed", func(t *testing.T, w *world) []byte {
			return w.reseal(t, func(plain []byte) []byte { plain[len(plain)-10] ^= 1; return plain })
		}, ErrFile, "not what its manifest says"},
		{"a keyshare and its hash were changed", func(t *testing.T, w *world) []byte {
			old := sha256.Sum256(w.files[0][1].Data)
			return w.reseal(t, func(plain []byte) []byte {
				plain[len(plain)-10] ^= 1
				at := len(plain) - len(w.files[0][1].Data)
				sum := sha256.Sum256(plain[at:])
				return bytes.Replace(plain, []byte(hex.EncodeToString(old[:])), []byte(hex.EncodeToString(sum[:])), 1)
			})
		}, ErrFile, "its signature is not that of"},
		{"something follows", func(t *testing.T, w *world) []byte {
			return w.reseal(t, func(plain []byte) []byte { return append(plain, 0) })
		}, ErrFile, "something follows"},
		{"something is missing", func(t *testing.T, w *world) []byte {
			return w.reseal(t, func(plain []byte) []byte { return plain[:len(plain)-1] })
		}, ErrFile, "shorter than its manifest"},
		{"another member signed it", sealWith(1, own), ErrFile, "its signature is not that of"},
		{"too few members approve", func(t *testing.T, w *world) []byte {
			sealed, err := Seal(w.keys[0], w.subject, w.agreed(t)[:1], w.files[0])
			require.NoError(t, err)
			return sealed
		}, ErrRefused, "1 members approve"},
		{
			"it has another member's keyshares", sealWith(0, func(w *world) []envelope.File { return w.files[1] }),
			keyfiles.ErrKeyshares, "localstate-",
		},
		{
			"it has another vault's keyshares", sealWith(0, func(*world) []envelope.File { return filesOf(deal()[1], 0) }),
			keyfiles.ErrKeyshares, "localstate-",
		},
		{"it has one keyshare", sealWith(0, func(w *world) []envelope.File { return w.files[0][:1] }), ErrFile, "it has 1 files"},
		{"it is imported by another member", func(t *testing.T, w *world) []byte {
			s := w.seal(t)
			w.keys[0], w.keys[1] = w.keys[1], w.keys[0]
			return s
		}, ErrMember, "they are those of"},
		{"the vault was reshared since", func(t *testing.T, w *world) []byte {
			s := w.seal(t)
			w.v.Epoch = 8
			return s
		}, ErrRefused, "the vault is in epoch 8"},
		{"state has other public shares", func(t *testing.T, w *world) []byte {
			s := w.seal(t)
			w.v.SharesHash = bytes.Repeat([]byte{1}, 32)
			return s
		}, keyfiles.ErrKeyshares, "public shares in them are not those"},
		{"state has no public shares", func(t *testing.T, w *world) []byte {
			s := w.seal(t)
			w.v.SharesHash = nil
			return s
		}, keyfiles.ErrKeyshares, "has no public shares"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			e, err := w.open(row.make(t, w))
			if err == nil {
				err = e.Check(w.v, chainID, height, w.keys[0].PubKey())
				e.Wipe()
			}
			require.ErrorIs(t, err, row.kind)
			require.Contains(t, err.Error(), row.says)
		})
	}
	t.Run("the approvals have expired since", func(t *testing.T) {
		w := newWorld(t)
		e, err := w.open(w.seal(t))
		require.NoError(t, err)
		require.NoError(t, e.Check(w.v, chainID, expiry, w.keys[0].PubKey()))
		require.ErrorIs(t, e.Check(w.v, chainID, expiry+1, w.keys[0].PubKey()), ErrRefused)
		require.ErrorIs(t, e.Check(w.v, "fake-2", height, w.keys[0].PubKey()), ErrRefused)
	})
}

func TestTheLogGrowsByALineForEachAct(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "exports.log")
	for _, act := range []Act{ActApprove, ActExport, ActImport} {
		e := Entry{Time: time.Unix(1, 0).UTC(), Act: act, Height: height, Subject: w.subject, Approvers: []string{"a"}}
		require.NoError(t, e.Log(path))
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	require.Len(t, lines, 3)
	for i, act := range []Act{ActApprove, ActExport, ActImport} {
		var e Entry
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &e))
		require.Equal(t, act, e.Act)
		require.Equal(t, w.subject, e.Subject)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// What is read is written so again.
func FuzzParseApproval(f *testing.F) {
	w := newWorld(f)
	data, err := w.agreed(f)[0].Encode()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseApproval(data)
		if err != nil {
			require.ErrorIs(t, err, ErrRefused)
			return
		}
		again, err := a.Encode()
		require.NoError(t, err)
		require.Equal(t, data, again)
		_ = Verify(w.v, w.subject, height, []Approval{a})
	})
}

func FuzzParseExport(f *testing.F) {
	w := newWorld(f)
	r, err := age.Decrypt(bytes.NewReader(w.seal(f)), w.to)
	require.NoError(f, err)
	var plain bytes.Buffer
	_, err = plain.ReadFrom(r)
	require.NoError(f, err)
	f.Add(plain.Bytes())
	f.Add([]byte("{}\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parse(data)
		if err != nil {
			return
		}
		require.Len(t, e.Files, 2)
		whole := fmt.Appendf(bytes.Clone(e.body), "\n%x\n", e.signature)
		for _, file := range e.Files {
			whole = append(whole, file.Data...)
		}
		require.Equal(t, data, whole)
		_ = e.Check(w.v, chainID, height, w.keys[0].PubKey())
	})
}
