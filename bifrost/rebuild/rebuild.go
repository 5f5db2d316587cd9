// Package rebuild gives a vault's private keys from mnemonics of its members and the chain's state,
// when nothing else is left: no keyshare, no envelope, no block, no signer that runs.
//
// The state holds, for each member that proved, its shares of the vault's keys encrypted to a key
// that follows from its mnemonic ([verenc]), and the public points of all shares. A share that was
// opened is checked against its point, the points against the vault's keys, and the keys that come
// out against the vault's keys again: whoever made the state up, what comes out is right or an
// error. It needs no network, no files and no chain, and tells nothing below the threshold.
//
//	record, err := rebuild.Parse(json)
//	state, err := rebuild.New(record)
//	opening := state.Open()
//	members, err := opening.Add(mnemonic)   // for each mnemonic
//	keys, err := opening.Combine()
//	file := keys.Encode()
//
// Whoever holds the result holds the vault's money, alone. It undoes what the vault was made for,
// so it is for the emergency in which the members can never sign again.
package rebuild

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

var (
	// ErrStranger means that a mnemonic belongs to no member of the vault.
	ErrStranger = errors.New("the mnemonic belongs to no member of the vault that has proven")
	// ErrDamaged means that a mnemonic belongs to a member, and opens nothing that fits the
	// member's public shares.
	ErrDamaged = errors.New(
		"what the state keeps of the member's proof does not open with its mnemonic",
	)
	// ErrTooFew means that fewer members' shares are there than are needed.
	ErrTooFew = errors.New("too few members' mnemonics")
)

// Opening collects the shares that mnemonics open. Wipe it.
type Opening struct {
	state *State
	// shares are in the order of the lists, the zero Share where one is missing.
	shares [2][]verenc.Share
	opened []bool
}

// Open begins to collect shares.
func (s *State) Open() *Opening {
	o := &Opening{state: s, opened: make([]bool, len(s.members))}
	for g := range o.shares {
		o.shares[g] = make([]verenc.Share, len(s.members))
	}
	return o
}

// Add opens the shares of the members whose mnemonic it is, and returns these members' addresses:
// one, unless an operator used one mnemonic for several. A mnemonic that was added before names
// them again and counts once. The error wraps [ErrStranger] when it is no member's, [ErrDamaged]
// when it opens nothing of a member whose it is.
func (o *Opening) Add(mnemonic *sanity.Mnemonic) ([]string, error) {
	seed := mnemonic.Seed()
	defer sanity.Wipe(seed)
	keys := map[uint32]*verenc.RecipientKey{}
	defer func() {
		for _, key := range keys {
			key.Wipe()
		}
	}()
	var whose []string
	var failed []error
	for i := range o.state.members {
		m := &o.state.members[i]
		if m.Err != nil {
			continue
		}
		key := keys[m.RecipientIndex]
		if key == nil {
			var err error
			if key, err = verenc.NewRecipientKey(seed, m.RecipientIndex); err != nil {
				continue // this index gives no key, so it is not the member's
			}
			keys[m.RecipientIndex] = key
		}
		if string(key.Public()) != string(m.recipient) {
			continue
		}
		whose = append(whose, m.Address)
		if o.opened[i] {
			continue
		}
		if err := o.open(i, key); err != nil {
			failed = append(failed, fmt.Errorf("%w: %s: %w", ErrDamaged, m.Address, err))
		}
	}
	if len(whose) == 0 {
		return nil, ErrStranger
	}
	return whose, errors.Join(failed...)
}

// open opens a member's shares; each is that of its public point, or there is an error.
func (o *Opening) open(i int, key *verenc.RecipientKey) error {
	m := &o.state.members[i]
	shares, err := m.stored.Open(key, m.points)
	if err != nil {
		return err
	}
	for g := range o.shares {
		o.shares[g][m.at[g]] = shares[g]
	}
	o.opened[i] = true
	return nil
}

// Opened reports whether the member at this place of [State.Members] has been opened.
func (o *Opening) Opened(i int) bool { return o.opened[i] }

// Missing is how many more members' mnemonics are needed.
func (o *Opening) Missing() int {
	missing := o.state.Need()
	for _, opened := range o.opened {
		if opened {
			missing--
		}
	}
	return max(0, missing)
}

// Combine gives the vault's private keys, which are checked against its public ones. The error
// wraps [ErrTooFew] when members are missing; nothing is computed then.
func (o *Opening) Combine() (*Keys, error) {
	if missing := o.Missing(); missing > 0 {
		return nil, fmt.Errorf("%w: %d more of %d are needed", ErrTooFew, missing, o.state.Need())
	}
	k := &Keys{vault: o.state.vault, ed25519: o.state.ed25519}
	for g, list := range o.state.lists {
		key, err := list.Combine(o.shares[g])
		if err != nil {
			k.Wipe()
			return nil, fmt.Errorf("%w: %w", ErrState, err)
		}
		k.keys[g] = key
	}
	return k, nil
}

// Wipe overwrites the shares.
func (o *Opening) Wipe() {
	for _, shares := range o.shares {
		for _, s := range shares {
			s.Wipe()
		}
	}
}

const redacted = "[redacted vault keys]"

// Keys are a vault's private keys. They print as a fixed text in every format; wipe them.
type Keys struct {
	vault, ed25519 string
	keys           [2]verenc.Share
}

// Wipe overwrites the keys.
func (k *Keys) Wipe() {
	for _, key := range k.keys {
		key.Wipe()
	}
}

// Secp256k1 is the private key as 32 bytes, big-endian. The caller wipes it.
func (k *Keys) Secp256k1() []byte { return k.keys[0].Bytes() }

// Ed25519 is the scalar a with A = a·B as 32 bytes, little-endian, below the group's order. It is
// no seed of RFC 8032: a key that was made by a threshold keygen has none. The caller wipes it.
func (k *Keys) Ed25519() []byte { return k.keys[1].Bytes() }

// String returns a constant.
func (*Keys) String() string { return redacted }

// Format writes a constant, whatever the verb.
func (*Keys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns a constant; MarshalJSON follows it.
func (*Keys) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is a constant.
func (*Keys) LogValue() slog.Value { return slog.StringValue(redacted) }
