package rebuild

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/tssbackup/tssbackup/verenc"
)

// MaxBytes bounds a state in JSON. That of a vault of 512 members has less than 3 MB.
const MaxBytes = 8 << 20

// maxMembers is the most that a vault can have.
const maxMembers = 512

// ErrState means that a state cannot be what a chain holds of a vault.
var ErrState = errors.New("the vault's state fails a check")

// Record is what a chain's state holds of a vault for this purpose, in the form in which the
// module's query Proofs shows it: keys, ids and points in hex.
type Record struct {
	Vault         string  `json:"vault"`
	PubKeyEd25519 string  `json:"pub_key_ed25519"`
	KeygenID      Number  `json:"keygen_id"`
	Threshold     uint32  `json:"threshold"`
	Secp256k1     []Point `json:"secp256k1"`
	Ed25519       []Point `json:"ed25519"`
	Proofs        []Proof `json:"proofs"`
}

// Point is a member's public share.
type Point struct {
	Member string `json:"member"`
	ID     string `json:"id"`
	Point  string `json:"point"`
}

// Proof is what is kept of a member's proof. Stored is empty when none was accepted.
type Proof struct {
	Member         string `json:"member"`
	RecipientKey   string `json:"recipient_key"`
	RecipientIndex uint32 `json:"recipient_index"`
	Stored         []byte `json:"stored"`
}

// Number is a 64-bit number, which a chain's JSON holds as text.
type Number uint64

// UnmarshalJSON takes both forms.
func (n *Number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseUint(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil {
		return fmt.Errorf("%.30q is no number", b)
	}
	*n = Number(v)
	return nil
}

// Parse reads a record from the JSON that a node's query printed. Fields that it does not know are
// passed over: what it knows is checked by [New], down to the vault's keys.
func Parse(data []byte) (Record, error) {
	var r Record
	if len(data) > MaxBytes {
		return r, fmt.Errorf("%w: more than %d bytes", ErrState, MaxBytes)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf(
			"%w: it is not what the query proofs prints with --output json: %.200s",
			ErrState,
			err.Error(),
		)
	}
	if r.Vault == "" {
		return r, fmt.Errorf(
			"%w: it is not what the query proofs prints with --output json: it names no vault",
			ErrState,
		)
	}
	return r, nil
}

// Member is a member of the vault, and whether its mnemonic would help.
type Member struct {
	Address        string
	RecipientIndex uint32
	// Err tells why no mnemonic opens anything of this member: it never proved, or its record is
	// damaged.
	Err error
}

// ErrUnproven means that no proof of a member was accepted.
var ErrUnproven = errors.New("no proof was accepted")

// State is the checked state of a vault.
type State struct {
	vault, ed25519 string
	keygen         uint64
	lists          [2]verenc.List
	members        []member
}

type member struct {
	Member
	recipient []byte
	stored    *verenc.Stored
	// at are the member's places on the lists, points its public shares there.
	at     [2]int
	points []verenc.PublicShare
}

// groups are those of a vault's keys, in the order in which a proof speaks of them.
var groups = [2]verenc.Group{verenc.Secp256k1, verenc.Ed25519}

// New checks a record. Its error wraps [ErrState] unless all of this is true:
//
//   - the vault's keys are well-formed, and the threshold is that of so many members;
//   - each of the two lists of public shares holds each member of the proofs exactly once;
//   - all points of each list lie on the polynomial of the vault's key, of the degree that belongs
//     to the threshold.
//
// What is wrong with one member's proof is told by [State.Members]: the others may be enough.
func New(r Record) (*State, error) {
	s := &State{vault: r.Vault, ed25519: r.PubKeyEd25519, keygen: uint64(r.KeygenID)}
	if err := s.read(r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return s, nil
}

func (s *State) read(r Record) error {
	n := len(r.Proofs)
	if n < 2 || n > maxMembers {
		return fmt.Errorf("proofs of %d members", n)
	}
	if want := verenc.Threshold(n); uint64(r.Threshold) != uint64(want) {
		return fmt.Errorf("the threshold is %d, and that of %d members is %d", r.Threshold, n, want)
	}
	byAddress := make(map[string]int, n)
	for i, p := range r.Proofs {
		if !isAddress(p.Member) {
			return fmt.Errorf("%.80q is no address", p.Member)
		}
		if _, twice := byAddress[p.Member]; twice {
			return fmt.Errorf("two proofs of %s", p.Member)
		}
		byAddress[p.Member] = i
		s.members = append(
			s.members,
			member{Member: Member{Address: p.Member, RecipientIndex: p.RecipientIndex}},
		)
	}
	keys := [2]string{r.Vault, r.PubKeyEd25519}
	for g, points := range [2][]Point{r.Secp256k1, r.Ed25519} {
		if err := s.readList(g, keys[g], points, byAddress); err != nil {
			return fmt.Errorf("%v: %w", groups[g], err)
		}
	}
	for i := range s.members {
		s.members[i].Err = s.members[i].read(r.Proofs[i])
	}
	return nil
}

// readList checks the list of one group, and gives each member its place.
func (s *State) readList(g int, key string, points []Point, byAddress map[string]int) error {
	list := verenc.List{Group: groups[g]}
	var err error
	if list.Vault, err = unhex(key, groups[g].PointSize()); err != nil {
		return fmt.Errorf("the vault's key: %w", err)
	}
	if len(points) != len(s.members) {
		return fmt.Errorf("%d public shares of %d members", len(points), len(s.members))
	}
	seen := make([]bool, len(s.members))
	for at, p := range points {
		i, ok := byAddress[p.Member]
		if !ok || seen[i] {
			return fmt.Errorf("public share %d is of a stranger, or of a member that has one", at+1)
		}
		seen[i] = true
		var e verenc.Entry
		if e.ID, err = unhex(p.ID, 32); err != nil {
			return fmt.Errorf("the id of public share %d: %w", at+1, err)
		}
		if e.Point, err = unhex(p.Point, groups[g].PointSize()); err != nil {
			return fmt.Errorf("the point of public share %d: %w", at+1, err)
		}
		list.Entries = append(list.Entries, e)
		s.members[i].at[g] = at
		s.members[i].points = append(
			s.members[i].points,
			verenc.PublicShare{Group: groups[g], Point: e.Point},
		)
	}
	s.lists[g] = list
	return list.Check()
}

// read takes what is kept of the member's proof.
func (m *member) read(p Proof) error {
	if len(p.Stored) == 0 {
		return ErrUnproven
	}
	var err error
	if m.recipient, err = unhex(p.RecipientKey, 32); err != nil {
		return fmt.Errorf("recipient key: %w", err)
	}
	if err := verenc.CheckRecipient(m.recipient); err != nil {
		return err
	}
	stored, err := verenc.ParseStored(p.Stored)
	if err != nil {
		return err
	}
	if stored.Shares() != len(groups) {
		return fmt.Errorf(
			"what is kept of the proof holds %d shares instead of %d",
			stored.Shares(),
			len(groups),
		)
	}
	m.stored = stored
	return nil
}

// Vault is the vault's name, its secp256k1 key in hex; Ed25519 its other key.
func (s *State) Vault() string { return s.vault }

// Ed25519 is the vault's ed25519 key in hex.
func (s *State) Ed25519() string { return s.ed25519 }

// Keygen is the number of the keygen that made the vault.
func (s *State) Keygen() uint64 { return s.keygen }

// Need is how many members' shares give the keys.
func (s *State) Need() int { return verenc.Threshold(len(s.members)) }

// Members are all members of the vault.
func (s *State) Members() []Member {
	all := make([]Member, len(s.members))
	for i, m := range s.members {
		all[i] = m.Member
	}
	return all
}

// isAddress keeps anything out that would do harm on a terminal. Addresses are names here and
// nothing more.
func isAddress(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func unhex(s string, size int) ([]byte, error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != size || hex.EncodeToString(raw) != s {
		return nil, fmt.Errorf("%.80q is not %d bytes in lower-case hex", s, size)
	}
	return raw, nil
}
