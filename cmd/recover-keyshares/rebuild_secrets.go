package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// secretsSource is a file of --secrets.
type secretsSource struct {
	path string
	// envelopes are those in it, until one of them has opened.
	envelopes [][]byte
	// secrets are nil until then, and mnemonic is whose they were opened with.
	secrets  *sanity.Secrets
	mnemonic string
	// damage is why no mnemonic will open it.
	damage error
}

// fromSecrets rebuilds the keys from members' secrets, without a state.
func (r *rebuilding) fromSecrets(ctx context.Context, out string) error {
	sources, err := r.readSecrets()
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range sources {
			if s.secrets != nil {
				s.secrets.Secret.Wipe()
			}
		}
	}()
	r.Progress(`This writes the private keys of vault
  %s
into %s, in plain hex. Until now they are nowhere: each of the vault's members
holds a share. Whoever has that file moves everything that the vault holds, alone.
It takes the secrets of as many members as sign together, two thirds of the vault's;
there are %d.`, r.vault, command.OneLine(out), len(sources))
	if err := r.confirm(ctx, r.vault); err != nil {
		return err
	}
	result := &rebuilt{
		Nodes: []string{}, Vault: r.vault, Members: []rebuiltMember{}, Strangers: []string{},
		Unreadable: []string{}, Unopened: []string{},
	}
	if err := r.openSecrets(ctx, sources, result); err != nil {
		return err
	}
	var damage error
	for _, s := range sources {
		if s.secrets == nil {
			damage = errors.Join(damage, s.damage)
		}
	}
	given, err := r.together(sources, result)
	if err == nil && len(given) == 0 {
		err = damage
		if err == nil {
			err = fmt.Errorf("%w: the mnemonics open none of the envelopes", envelope.ErrWrongMnemonic)
		}
	}
	if err != nil {
		return err
	}
	keys, misfits, failed := rebuild.FromSecrets(given)
	for _, i := range misfits {
		m := &result.Members[i]
		m.Result, m.Error = "damaged", "its share does not fit the vault's key and the other members' shares"
		r.Warn(m.Secrets + ": " + m.Address + ": " + m.Error)
	}
	if failed == nil {
		if err := r.save(ctx, keys, result, out); err != nil {
			return err
		}
	} else if len(result.Unopened) > 0 {
		failed = fmt.Errorf("%w (no mnemonic opened %s)", failed, strings.Join(result.Unopened, ", "))
		failed = errors.Join(failed, damage)
	}
	return r.tell(result, result.secretsText, failed)
}

// readSecrets reads the files of --secrets, and no envelope in them.
func (r *rebuilding) readSecrets() (sources []*secretsSource, err error) {
	for _, path := range r.secrets {
		data, err := readFile(path, saved.MaxBytes)
		if err != nil {
			return nil, err
		}
		s := &secretsSource{path: path}
		if s.secrets, err = sanity.ParseSecrets(data); err != nil {
			found := saved.Find(data)
			for _, c := range found.Candidates {
				if c.Form == saved.Envelope {
					s.envelopes = append(s.envelopes, c.Data)
				}
			}
			if len(s.envelopes) == 0 {
				return nil, fmt.Errorf("%s: %w", command.OneLine(path), found.Why)
			}
		} else {
			sanity.Wipe(data)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// openSecrets opens the envelopes with the mnemonics. One that is damaged is named, and the others
// are opened: they may be enough.
func (r *rebuilding) openSecrets(
	ctx context.Context, sources []*secretsSource, result *rebuilt,
) error {
	closed := func() (count int) {
		for _, s := range sources {
			if s.secrets == nil {
				count++
			}
		}
		return count
	}
	if closed() == 0 {
		return nil
	}
	if len(r.files) == 0 && !r.Terminal().Is() {
		return command.Usage(fmt.Errorf(
			"%w to ask for mnemonics on: give --mnemonic-file", process.ErrNoTerminal))
	}
	number := 0
	err := r.mnemonics(ctx, result, closed, func(source string, mnemonic *sanity.Mnemonic) {
		defer mnemonic.Wipe()
		opened := false
		// As a rule they are given in the order of the envelopes.
		for i := range sources {
			s := sources[(number+i)%len(sources)]
			if s.secrets != nil || ctx.Err() != nil {
				continue
			}
			secrets, err := r.openSource(s, mnemonic)
			if errors.Is(err, envelope.ErrWrongMnemonic) {
				continue
			}
			if err != nil {
				if s.damage == nil {
					s.damage = err
					r.Warn(command.OneLine(err.Error()))
				}
				opened = true // it is this mnemonic's, or does not tell whose it is
				continue
			}
			s.secrets, s.mnemonic, opened = secrets, command.OneLine(source), true
			r.Progress("%s opens %s", s.mnemonic, command.OneLine(s.path))
			break
		}
		if !opened {
			r.Warn(command.OneLine(source) + ": the mnemonic opens none of the envelopes that are closed")
			result.Strangers = append(result.Strangers, command.OneLine(source))
		}
		number++
	})
	for _, s := range sources {
		if s.secrets == nil {
			result.Unopened = append(result.Unopened, command.OneLine(s.path))
		}
	}
	return err
}

// openSource gives the secrets in the first envelope of a file that the mnemonic opens.
func (r *rebuilding) openSource(
	s *secretsSource, mnemonic *sanity.Mnemonic,
) (*sanity.Secrets, error) {
	for _, sealed := range s.envelopes {
		r.Progress("opening an envelope, which takes a few seconds")
		files, err := envelope.Open(sealed, mnemonic)
		if errors.Is(err, envelope.ErrWrongMnemonic) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command.OneLine(s.path), err)
		}
		defer func() {
			for _, f := range files {
				sanity.Wipe(f.Data)
			}
		}()
		if !envelope.IsSecretsName(files[0].Name) {
			return nil, fmt.Errorf("%w: %s: it holds whole keyshares and not a member's secrets: "+
				"'recover-keyshares open' writes them, and the group part is in them",
				rebuild.ErrMixed, command.OneLine(s.path))
		}
		return sanity.ParseSecrets(files[0].Data)
	}
	return nil, envelope.ErrWrongMnemonic
}

// together are the secrets that were opened, each member's once, when they are of the vault; the
// result has their members in the same order.
func (r *rebuilding) together(
	sources []*secretsSource, result *rebuilt,
) (given []*sanity.Secrets, err error) {
	for _, s := range sources {
		if s.secrets == nil {
			continue
		}
		name := fmt.Sprintf("%x", s.secrets.PubKey)
		if !strings.HasPrefix(name, r.vault) {
			return nil, fmt.Errorf("%w: %s: those are of vault %s, and --vault is %s",
				rebuild.ErrMixed, command.OneLine(s.path), name, r.vault)
		}
		if slices.ContainsFunc(given, func(o *sanity.Secrets) bool { return same(o, s.secrets) }) {
			r.Warn(command.OneLine(s.path) + ": the same secrets as in another file count once")
			continue
		}
		address, err := bech32.ConvertAndEncode(
			s.secrets.Prefix, types.SignerAddress(s.secrets.Member))
		if err != nil {
			return nil, err
		}
		m := rebuiltMember{
			Address: address, Result: "opened", Mnemonics: []string{}, Secrets: command.OneLine(s.path),
		}
		if s.mnemonic != "" {
			m.Mnemonics = append(m.Mnemonics, s.mnemonic)
		}
		given, result.Members = append(given, s.secrets), append(result.Members, m)
		result.Vault, result.KeygenID = name, s.secrets.Epoch
		result.PubKeyEd25519 = fmt.Sprintf("%x", s.secrets.PubKeyEd25519)
	}
	return given, nil
}

// same reports whether secrets are the same in all that counts.
func same(a, b *sanity.Secrets) bool {
	return bytes.Equal(a.PubKey, b.PubKey) && bytes.Equal(a.PubKeyEd25519, b.PubKeyEd25519) &&
		a.Epoch == b.Epoch && bytes.Equal(a.Member, b.Member) &&
		bytes.Equal(a.Secret.Bytes(), b.Secret.Bytes())
}

func (v *rebuilt) secretsText(w io.Writer) {
	fmt.Fprintf(w, "vault %s, epoch %d: the secrets of %d members\n",
		v.Vault, v.KeygenID, len(v.Members))
	for _, m := range v.Members {
		if m.Error != "" {
			fmt.Fprintf(w, "  %s: %s: %s\n", m.Address, m.Secrets, m.Error)
			continue
		}
		fmt.Fprintf(w, "  %s: %s\n", m.Address, m.Secrets)
	}
	for _, path := range v.Unopened {
		fmt.Fprintf(w, "  %s: no mnemonic opens it\n", path)
	}
	if v.Out == "" {
		fmt.Fprintln(w, "nothing was written")
		return
	}
	fmt.Fprintf(w, "the private keys of the vault are in %s\n", v.Out)
}
