package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/bifrost/trust"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// rebuilt is the result of rebuild in JSON.
type rebuilt struct {
	// Nodes, ChainID and Height are those of the verified records, empty when the state was read
	// from a file.
	Nodes   []string `json:"nodes"`
	ChainID string   `json:"chain_id"`
	Height  int64    `json:"height"`
	// Verified tells that the state is of verified records, and not out of a file.
	Verified      bool   `json:"verified"`
	Vault         string `json:"vault"`
	PubKeyEd25519 string `json:"pub_key_ed25519"`
	KeygenID      uint64 `json:"keygen_id"`
	// Need is how many members' mnemonics are needed, Missing how many more; 0 when the shares come
	// from --secrets, which do not tell.
	Need    int             `json:"need"`
	Missing int             `json:"missing"`
	Members []rebuiltMember `json:"members"`
	// Strangers are mnemonics that belong to no member, by their files.
	Strangers []string `json:"strangers"`
	// Unreadable are files that hold no mnemonic.
	Unreadable []string `json:"unreadable"`
	// Unopened are files of --secrets with an envelope that no mnemonic opened.
	Unopened []string `json:"unopened"`
	// Out is the file that holds the keys, empty when nothing was written.
	Out string `json:"out"`
}

type rebuiltMember struct {
	Address string `json:"address"`
	// RecipientIndex tells which key of its mnemonic the member proved to.
	RecipientIndex uint32 `json:"recipient_index"`
	// Result is opened, missing (its mnemonic was not given), unproven or damaged.
	Result string `json:"result"`
	// Mnemonics are the files that hold the member's mnemonic.
	Mnemonics []string `json:"mnemonics"`
	// Secrets is the file of --secrets that the member's share is from, empty with a state.
	Secrets string `json:"secrets"`
	Error   string `json:"error"`
}

// rebuilding is one invocation of rebuild.
type rebuilding struct {
	*app
	stateFile  string
	secrets    []string
	files      []string
	understood bool
	// chainID and height are those of the verified records, if the state is of these.
	chainID string
	height  int64
}

func (a *app) rebuildCommand() *cobra.Command {
	r := &rebuilding{app: a}
	cmd := &cobra.Command{
		Use: "rebuild --vault VAULT --out FILE {--state FILE | --node URL --node URL | " +
			"--secrets FILE...} [--mnemonic-file FILE]...",
		Short: "Emergency: a vault's private keys from its members' mnemonics and the chain's state",
		Long: `rebuild puts the private keys of a vault together, from the mnemonics of as many
members as can sign together and from what the chain's state keeps of these
members' proofs. It needs no keyshare, no envelope and no signer.

Whoever has the keys has everything that the vault holds, alone. That is for the
day on which the members can never sign together again, and for a machine without
a network: save the state on another machine with

  tssbackupd query tssbackup proofs VAULT --output json > state.json

and give it with --state (- for standard input). With --node the state is read from
the chain and verified, as for the other commands. Either way every share is checked
against its public point, and the keys against the vault's.

When the state is lost and so is the group part of a split vault, the envelopes of as
many members do: give each with --secrets, or the secrets file that was in it. The keys
are checked against the vault's. How many members are needed nothing tells then: two
thirds of the vault's. One share that does not fit the others is named and left out.

It explains what it is about to do and asks; a script that has no terminal says
--i-understand. Without --mnemonic-file it asks for one mnemonic after the other.
The keys go into --out, readable by you alone and never over a file: JSON with
"secp256k1", the private key in hex, 32 bytes big-endian, and "ed25519_scalar", the
scalar of the ed25519 key in hex, 32 bytes little-endian. The scalar is no seed: a
key that was made by many has none, and a wallet that asks for one cannot take it.
With fewer mnemonics than are needed nothing is computed or written; the exit code
is 8.

` + trust.Help("recover-keyshares"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) },
	}
	a.nodeFlags(cmd)
	a.prefixFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&a.vault, "vault", "", "the vault, by its key in hex or its first 8 digits")
	flags.StringVar(&a.out, "out", "", "file for the keys, which must not exist yet")
	flags.StringVar(
		&r.stateFile,
		"state",
		"",
		"file that holds the saved state, - for standard input",
	)
	flags.StringArrayVar(
		&r.secrets,
		"secrets",
		nil,
		"file that holds a member's envelope, or the secrets file in it; give several",
	)
	flags.StringArrayVar(
		&r.files,
		"mnemonic-file",
		nil,
		"file that holds a member's mnemonic, - for standard input; give several (default: ask)",
	)
	flags.BoolVar(&r.understood, "i-understand", false, "do not ask whether this is meant")
	return cmd
}

func (r *rebuilding) run(ctx context.Context) error {
	out, err := r.checkFlags()
	if err != nil {
		return err
	}
	if len(r.secrets) > 0 {
		return r.fromSecrets(ctx, out)
	}
	state, err := r.state(ctx)
	if err != nil {
		return err
	}
	if err := r.agree(ctx, state, out); err != nil {
		return err
	}
	opening := state.Open()
	defer opening.Wipe()
	result, err := r.collect(ctx, state, opening)
	if err != nil {
		return err
	}
	keys, failed := opening.Combine()
	if failed == nil {
		if err := r.save(ctx, keys, result, out); err != nil {
			return err
		}
	}
	return r.tell(result, result.text, result.reason(failed))
}

// save writes the keys to the file, and wipes them.
func (r *rebuilding) save(
	ctx context.Context, keys *rebuild.Keys, result *rebuilt, out string,
) error {
	defer keys.Wipe()
	file := keys.Encode()
	defer sanity.Wipe(file)
	if err := r.Write(ctx, func() error { return durable.Write(out, file) }); err != nil {
		return err
	}
	result.Out = out
	return nil
}

// tell prints the result, and how to go on when nothing failed.
func (r *rebuilding) tell(result *rebuilt, text func(io.Writer), failed error) error {
	err := errors.Join(r.Print(result, text), failed)
	if err == nil {
		r.Done("the vault's private keys are in "+command.OneLine(result.Out),
			"move what the vault holds, then destroy the file and the words; docs/runbook.md, "+
				"\"Emergency\", says how")
	}
	return err
}

// elsewhere is what helps when a state is damaged: a node that lied, or a bad disk, can have
// changed what no check of the state alone finds.
const elsewhere = "take the state from another node"

// reason says what else than too few mnemonics may be why there are too few shares.
func (v *rebuilt) reason(failed error) error {
	damaged := 0
	for _, m := range v.Members {
		if m.Result == "damaged" {
			damaged++
		}
	}
	switch {
	case failed == nil:
		return nil
	case damaged > 0 && damaged >= v.Missing:
		return fmt.Errorf(
			"%w: what it keeps of %d members' proofs is damaged: %s",
			rebuild.ErrState,
			damaged,
			elsewhere,
		)
	case len(v.Unreadable) > 0 && len(v.Unreadable) >= v.Missing:
		return fmt.Errorf(
			"%w: %d of the files hold none, and %d more members are needed",
			errMnemonic,
			len(v.Unreadable),
			v.Missing,
		)
	}
	return failed
}

// checkFlags returns the file for the keys.
func (r *rebuilding) checkFlags() (out string, err error) {
	fromStdin := 0
	for _, path := range append([]string{r.stateFile}, r.files...) {
		if path == "-" {
			fromStdin++
		}
	}
	if (r.stateFile != "" || len(r.secrets) > 0) && r.Implied("node") {
		r.trust.Nodes = nil // what is at hand was asked for, and no node
	}
	sources := 0
	for _, given := range []bool{r.stateFile != "", len(r.trust.Nodes) > 0, len(r.secrets) > 0} {
		if given {
			sources++
		}
	}
	terminal := term.IsTerminal(int(r.Stdin.Fd()))
	switch {
	case r.vault == "":
		err = errors.New("--vault is missing")
	case r.out == "":
		err = errors.New("--out is missing: the file for the keys")
	case sources != 1:
		err = errors.New("give one of --state, a file that holds the vault's state, --node, and " +
			"--secrets, files that hold members' envelopes")
	case fromStdin > 1:
		err = errors.New("standard input can be one file only")
	case len(r.files) == 0 && len(r.secrets) == 0 && (!terminal || fromStdin > 0):
		err = fmt.Errorf("%w to ask for mnemonics on: give --mnemonic-file", process.ErrNoTerminal)
	case !r.understood && (!terminal || fromStdin > 0):
		err = fmt.Errorf(
			"%w to ask on whether a vault's private keys are to be written to a file: "+
				"read 'recover-keyshares rebuild --help', and give --i-understand if that is meant",
			process.ErrNoTerminal,
		)
	}
	if err != nil {
		return "", command.Usage(err)
	}
	if err := r.checkNames(); err != nil {
		return "", err
	}
	if out, err = filepath.Abs(r.out); err != nil {
		return "", err
	}
	// Said before anybody types 24 words.
	if _, err := os.Lstat(out); err == nil {
		return "", fmt.Errorf(
			"%s is there already, and nothing is ever replaced: give another --out",
			out,
		)
	}
	if err := r.TryFolder(filepath.Dir(out)); err != nil {
		return "", err
	}
	return out, nil
}

// agree explains what is about to happen and asks whether it is meant.
func (r *rebuilding) agree(ctx context.Context, state *rebuild.State, out string) error {
	members := state.Members()
	helpful, damaged := 0, 0
	for _, m := range members {
		switch {
		case m.Err == nil:
			helpful++
		case !errors.Is(m.Err, rebuild.ErrUnproven):
			damaged++
		}
	}
	r.Progress(`This writes the private keys of vault
  %s
into %s, in plain hex. Until now they are nowhere: the vault's %d members
hold a share each. Whoever has that file moves everything that the vault holds, alone.
It takes the mnemonics of %d members; those of %d would do.`,
		state.Vault(), command.OneLine(out), len(members), state.Need(), helpful)
	if helpful < state.Need() && helpful+damaged >= state.Need() {
		return fmt.Errorf(
			"%w: what it keeps of %d members' proofs is damaged, and of %d members it can be opened, of which %d are needed: %s",
			rebuild.ErrState,
			damaged,
			helpful,
			state.Need(),
			elsewhere,
		)
	}
	if helpful < state.Need() {
		return fmt.Errorf(
			"%w of enough members: the state holds %d that can be opened, and %d are needed",
			rebuild.ErrUnproven,
			helpful,
			state.Need(),
		)
	}
	return r.confirm(ctx, state.Vault())
}

// confirm asks whether it is meant, by the first digits of the vault.
func (r *rebuilding) confirm(ctx context.Context, name string) error {
	if r.understood {
		return nil
	}
	const digits = 8
	r.Progress(
		"Go on only if the members can never sign together again, and on a machine without a network.",
	)
	answer, err := r.Answer(
		ctx,
		fmt.Sprintf("Type the first %d digits of the vault to go on: ", digits),
	)
	if err != nil {
		return err
	}
	if answer != name[:digits] {
		return errors.New("that is not the vault: nothing was done")
	}
	return nil
}

func (v *rebuilt) text(w io.Writer) {
	fmt.Fprintf(
		w,
		"vault %s: the mnemonics of %d of %d members are needed\n",
		v.Vault,
		v.Need,
		len(v.Members),
	)
	for _, m := range v.Members {
		switch m.Result {
		case "opened":
			fmt.Fprintf(w, "  %s: opened with %s\n", m.Address, strings.Join(m.Mnemonics, ", "))
		case "missing":
			fmt.Fprintf(w, "  %s: its mnemonic was not given\n", m.Address)
		default:
			fmt.Fprintf(w, "  %s: no mnemonic helps: %s\n", m.Address, m.Error)
		}
	}
	for _, source := range v.Strangers {
		fmt.Fprintf(w, "  %s: of no member; if it should be, %s\n", source, elsewhere)
	}
	for _, source := range v.Unreadable {
		fmt.Fprintf(w, "  %s: not a mnemonic\n", source)
	}
	if v.Out == "" {
		fmt.Fprintf(
			w,
			"nothing was written: the mnemonics of %d more members are needed\n",
			v.Missing,
		)
		return
	}
	fmt.Fprintf(w, "the private keys of the vault are in %s\n", v.Out)
}
