package homebackup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/signer"
)

// format names what a manifest is, and begins what its signature is over.
const format = "tssbackup/home/v1"

// The files of a home that are in a backup, by their names in it.
const (
	configName = "config.toml"
	// mnemonicName is no file that a restore writes.
	mnemonicName = "mnemonic"
	trustDir     = "trust"
	outboxDir    = "outbox"
	closedDir    = "outbox/closed"
	keyshareDir  = "keyshares"
	unplacedDir  = "unplaced"
	// damagedDir is the folder, within that of the keyshares, of a keyshare whose place another
	// one has.
	damagedDir = "damaged"
)

// A File is one file of the home.
type File struct {
	// Name is its path in the home, with slashes; that of a keyshare has no .age at its end.
	Name string `json:"name"`
	// Epoch is that of a keyshare, 0 while it is not known and for all else.
	Epoch uint64 `json:"epoch"`
	// Size and SHA256, in hex, are those of the plaintext.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Object is the SHA-256 of the age file that holds it, in hex.
	Object string `json:"object"`
}

// IsKeyshare reports whether the file is a keyshare.
func (f File) IsKeyshare() bool { return strings.HasPrefix(f.Name, keyshareDir+"/") }

// IsMnemonic reports whether it is the mnemonic, whose object opens with the keys of the manifest's
// MnemonicFor alone.
func (f File) IsMnemonic() bool { return f.Name == mnemonicName }

// holds reports whether this is what the manifest says that the file holds.
func (f File) holds(plain []byte) bool {
	return int64(len(plain)) == f.Size && sumOf(plain) == f.SHA256
}

// isHeader reports whether it is a trusted header, which never causes a backup.
func (f File) isHeader() bool { return strings.HasPrefix(f.Name, trustDir+"/") }

// isOpen reports whether it is a record of what was on its way to the chain.
func (f File) isOpen() bool { return path.Dir(f.Name) == outboxDir }

// A Manifest names all that was in a home at one time.
type Manifest struct {
	Format  string `json:"format"`
	ChainID string `json:"chain_id"`
	// Signer is the account of the home, and PubKey its key in hex, by which the manifest is
	// signed.
	Signer string `json:"signer"`
	PubKey string `json:"pub_key"`
	// Store is the store's id, and Writer that of the process, both 32 random hex digits.
	Store  string `json:"store"`
	Writer string `json:"writer"`
	// Sequence counts the manifests of a store from 1. Previous is the SHA-256 in hex of the one
	// before, empty for the first.
	Sequence uint64 `json:"sequence"`
	Previous string `json:"previous"`
	// Time is that of the home's clock, in UTC. Nothing but pruning by days goes by it.
	Time time.Time `json:"time"`
	// Recipients are those of age for whom its objects are sealed, the home's own first.
	Recipients []string `json:"recipients"`
	// MnemonicFor are those for whom the mnemonic is sealed, when it is among the files.
	MnemonicFor []string `json:"mnemonic_for,omitempty"`
	// Files are sorted by name.
	Files []File `json:"files"`

	// sum is the SHA-256 of the age file in hex.
	sum string
}

// ID is the name of the manifest's file without its ending, such as 7-0123456789abcdef.
func (m *Manifest) ID() string { return manifestID(m.Sequence, m.sum) }

// Keyshares is how many keyshares the manifest names.
func (m *Manifest) Keyshares() (n int) {
	for _, f := range m.Files {
		if f.IsKeyshare() {
			n++
		}
	}
	return n
}

// share lets the texts of files be those which are known, where they are equal: manifests of one
// store say mostly the same, and all of them are in memory.
func (m *Manifest) share(known map[string]string) {
	m.Files = slices.Clone(m.Files) // without the room that reading left
	for i := range m.Files {
		f := &m.Files[i]
		for _, text := range []*string{&f.Name, &f.SHA256, &f.Object} {
			if same, ok := known[*text]; ok {
				*text = same
				continue
			}
			known[*text] = *text
		}
	}
}

// unopened are the files whose objects the keys of the home do not open.
func (m *Manifest) unopened() (names []string) {
	for _, f := range m.Files {
		if f.IsMnemonic() {
			names = append(names, f.Name)
		}
	}
	return names
}

func manifestID(sequence uint64, sum string) string {
	return fmt.Sprintf("%d-%s", sequence, sum[:16])
}

// sign returns what is sealed: the JSON in one line, and the signature over the format and that
// JSON in hex in another.
func (m *Manifest) sign(key *signer.Key) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(signed(body))
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(body, "\n%x\n", signature), nil
}

func signed(body []byte) []byte { return append([]byte(format), body...) }

// parseManifest reads what sign returns. There is one writing of each manifest, and it reads no
// other. The signature is checked against the key that the manifest names; whose that is the
// caller finds out.
func parseManifest(data []byte) (*Manifest, error) {
	body, rest, _ := bytes.Cut(data, []byte("\n"))
	signature, err := hex.DecodeString(strings.TrimSuffix(string(rest), "\n"))
	if err != nil || !bytes.Equal(data, fmt.Appendf(bytes.Clone(body), "\n%x\n", signature)) {
		return nil, errors.New("it is not a line of JSON and a signature")
	}
	var m Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, errors.New("it is not the JSON of a manifest")
	}
	if m.Format != format {
		return nil, fmt.Errorf("its format is %.60q, this bifrost knows %s", m.Format, format)
	}
	if again, err := json.Marshal(&m); err != nil || !bytes.Equal(again, body) {
		return nil, errors.New("its JSON is not written as manifests are")
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	pubKey, err := hex.DecodeString(m.PubKey)
	if err != nil || !signer.Verify(pubKey, signed(body), signature) {
		return nil, errors.New("its signature is wrong")
	}
	_, address, err := bech32.DecodeAndConvert(m.Signer)
	if err != nil || !bytes.Equal(address, signer.AddressOf(pubKey)) {
		return nil, errors.New("its key is not that of its signer")
	}
	return &m, nil
}

func (m *Manifest) check() error {
	switch {
	case !isID(m.Store), !isID(m.Writer):
		return errors.New("its store or its writer has no id")
	case m.Sequence == 0, (m.Sequence == 1) != (m.Previous == ""):
		return errors.New("its sequence and the manifest before it do not fit")
	case m.Previous != "" && !isSum(m.Previous):
		return errors.New("the manifest before it is not a SHA-256")
	case m.Time.Location() != time.UTC:
		return errors.New("its time is not in UTC")
	case len(m.Recipients) == 0, m.Files == nil:
		return errors.New("it lacks recipients or files")
	}
	for i, f := range m.Files {
		if i > 0 && m.Files[i-1].Name >= f.Name {
			return errors.New("its files are not sorted by name")
		}
		if err := f.check(); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(m.Files, File.IsMnemonic) != (len(m.MnemonicFor) > 0) {
		return errors.New("the mnemonic and those for whom it is sealed do not fit")
	}
	return nil
}

func (f File) check() error {
	if err := f.checkName(); err != nil {
		return err
	}
	if f.Size < 0 || !isSum(f.SHA256) || !isSum(f.Object) {
		return fmt.Errorf("%s: its size or a SHA-256 is none", f.Name)
	}
	return nil
}

// checkName admits no name but those of what a backup holds: each becomes a path in a home.
func (f File) checkName() error {
	dir, name := path.Split(f.Name)
	dir = strings.TrimSuffix(dir, "/")
	ok := plainName.MatchString(name)
	var epoch uint64
	switch {
	case dir == "":
		ok = f.Name == configName || f.IsMnemonic()
	case dir == trustDir:
		ok = ok && strings.HasSuffix(name, headerSuffix)
	case dir == outboxDir || dir == closedDir:
		ok = ok && strings.HasSuffix(name, recordSuffix)
	case path.Dir(dir) == keyshareDir:
		folder := path.Base(dir)
		if folder == damagedDir {
			epoch = f.Epoch
			break
		}
		if folder == unplacedDir {
			break
		}
		var err error
		epoch, err = strconv.ParseUint(folder, 10, 64)
		ok = ok && err == nil && epoch != 0 && folder == strconv.FormatUint(epoch, 10)
	default:
		ok = false
	}
	switch {
	case !ok:
		return fmt.Errorf("%.200q is not the name of a file in a backup", f.Name)
	case f.Epoch != epoch:
		return fmt.Errorf("%s: its epoch is not that of its folder", f.Name)
	}
	return nil
}

const (
	headerSuffix = ".header"
	recordSuffix = ".json"
)

var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,219}$`)
	hexID     = regexp.MustCompile(`^[0-9a-f]{32}$`)
	hexSum    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func isID(s string) bool  { return hexID.MatchString(s) }
func isSum(s string) bool { return hexSum.MatchString(s) }

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// addKeyshare adds a keyshare of another manifest, unless one of the same contents is there. Where
// its place is taken by other contents it goes among the damaged ones.
func addKeyshare(files []File, f File) []File {
	taken := func(name string) bool {
		return slices.ContainsFunc(files, func(o File) bool { return o.Name == name })
	}
	same := func(o File) bool { return o.IsKeyshare() && o.SHA256 == f.SHA256 }
	if slices.ContainsFunc(files, same) {
		return files
	}
	if taken(f.Name) {
		f.Name = path.Join(keyshareDir, damagedDir, path.Base(f.Name)+"."+f.SHA256[:16])
	}
	return append(files, f)
}

func sortFiles(files []File) {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
}

// keyshareFile is the name of the keyshare file that a file is.
func (f File) keyshareFile() string {
	name := path.Base(f.Name)
	if path.Base(path.Dir(f.Name)) == damagedDir && len(f.SHA256) == 64 {
		name = strings.TrimSuffix(name, "."+f.SHA256[:16])
	}
	return name
}
