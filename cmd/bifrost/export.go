package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/transfer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// defaultExpiryBlocks is how long an approval counts unless its member says otherwise: long enough
// to collect the files of the others, and behind [transfer.MaxBlocks] at a node that lags.
const defaultExpiryBlocks = 5_000

// agreement is the result of approve-export, export and import in JSON.
type agreement struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	transfer.Subject
	Height    int64    `json:"height"`
	Expiry    int64    `json:"expiry"`
	Approvers []string `json:"approvers"`
	// Keyshares are the names of the keyshare files, none in an approval.
	Keyshares []string `json:"keyshares"`
}

func (g *agreement) text(w io.Writer) {
	fmt.Fprintf(w, "file       %s\nvault      %s\nepoch      %d\nmember     %s\nto         %s\n",
		g.File, g.Vault, g.Epoch, g.Member, g.To)
	fmt.Fprintf(w, "counts to  block %d, and this is %d\n", g.Expiry, g.Height)
	for _, address := range g.Approvers {
		fmt.Fprintf(w, "approves   %s\n", address)
	}
	for _, name := range g.Keyshares {
		fmt.Fprintf(w, "keyshare   %s\n", name)
	}
}

func (a *app) approveExportCommand() *cobra.Command {
	var digits, out string
	var blocks int64
	var s transfer.Subject
	cmd := &cobra.Command{
		Use:   "approve-export --vault VAULT --member ADDRESS --to age1... --out FILE",
		Short: "Approve that another member's keyshares of a vault are exported",
		Long: `approve-export signs, with the signer's key, that the keyshares of a member of
a vault may be exported to a wrapping key, and writes the approval to a file, which
is no secret and goes to that member. As many members as sign have to approve, the
member itself among them if it does so; bifrost export verifies that.

An approval is for one chain, vault, epoch, member and wrapping key, and counts up to
a block, at most 10000 ahead. A reshare of the vault voids it. Compare the wrapping
key with its owner over another way than the one on which it came.

It binds honest software: a member has its keyshares, and can always copy them. What
the chain's records say is verified from the trusted header of this home on. A running
bifrost may go on meanwhile.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.approveExport(cmd.Context(), digits, s, blocks, out)
		},
	}
	cmd.Flags().StringVar(&digits, "vault", "", "the vault, by its secp256k1 key in hex or its first 8 digits")
	cmd.Flags().StringVar(&s.Member, "member", "", "address of the member whose keyshares are exported")
	cmd.Flags().StringVar(&s.To, "to", "", "the wrapping key, an X25519 recipient of age")
	cmd.Flags().Int64Var(&blocks, "blocks", defaultExpiryBlocks, "for how many blocks it counts, at most 10000")
	cmd.Flags().StringVar(&out, "out", "", "file for the approval")
	a.signerFlag(cmd)
	return cmd
}

func (a *app) exportCommand() *cobra.Command {
	var digits, to, out string
	var approvals []string
	cmd := &cobra.Command{
		Use:   "export --vault VAULT --to age1... --approval FILE... --out FILE",
		Short: "Hand the keyshares of a vault on, when its members agree",
		Long: `export writes this signer's keyshares of a vault to a file that the wrapping key
opens, and nothing else. It needs two things: approvals by as many members of the vault as
sign, which bifrost approve-export makes, and the wrapping key in the whitelist under
[export] in config.toml, which is empty by default. Approvals are verified against
what the chain's records say of the vault, from the trusted header of this home on. A
running bifrost may go on meanwhile.

The file is signed by this signer. bifrost import takes it while the approvals count
and the vault is in the same epoch. A line for each export, and for each that is
refused, is in exports.log in the home.

A second host that stands by for this signer needs none of this: see bifrost standby.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.exportKeyshares(cmd.Context(), digits, to, approvals, out)
		},
	}
	cmd.Flags().StringVar(&digits, "vault", "", "the vault, by its secp256k1 key in hex or its first 8 digits")
	cmd.Flags().StringVar(&to, "to", "", "the wrapping key, an X25519 recipient of age")
	cmd.Flags().StringArrayVar(&approvals, "approval", nil, "file of a member's approval; give one for each")
	cmd.Flags().StringVar(&out, "out", "", "file for the keyshares")
	a.signerFlag(cmd)
	return cmd
}

func (a *app) importCommand() *cobra.Command {
	var identity string
	cmd := &cobra.Command{
		Use:   "import FILE --identity FILE",
		Short: "Take keyshares in that were exported by agreement",
		Long: `import opens a file of bifrost export with the identity of its wrapping key, as
age-keygen makes it, and puts the keyshares into the keystore of this home, which is
that of the same signer. Before it writes it checks the signature, that the vault is
in the epoch of the file, that its members' approvals still count, that the keyshares
fit together and to the vault, and that their public shares are those in the chain's
state, which it verifies from the trusted header of this home on. A file that is there
is never replaced. No bifrost may run in the home.

A line for each import, and for each that is refused, is in exports.log in the home.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importKeyshares(cmd.Context(), args[0], identity)
		},
	}
	cmd.Flags().StringVar(&identity, "identity", "", "identity file of age with the wrapping key's identity")
	a.signerFlag(cmd)
	return cmd
}

func (a *app) signerFlag(cmd *cobra.Command) {
	cmd.Flags().
		StringVar(&a.mnemonicFile, "mnemonic-file", "", "file that holds the mnemonic, - for standard input")
}

// exportTarget makes sure that a new file can be written.
func (a *app) exportTarget(out string) error {
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s: %w", out, durable.ErrDifferent)
	}
	return a.TryFolder(filepath.Dir(out))
}

// recordOf is what the chain's verified records say of a vault, and their height.
func (a *app) recordOf(
	ctx context.Context, cfg home.Config, digits string,
) (vault.Vault, int64, error) {
	digits = strings.ToLower(digits)
	if err := vault.CheckDigits(digits); err != nil {
		return vault.Vault{}, 0, command.Usage(fmt.Errorf("--vault: %w", err))
	}
	warn := func(text string) { a.Warn(command.OneLine(text)) }
	return service.VaultRecord(ctx, a.home, cfg, digits, warn)
}

// audited decides on an act, of which a line goes into the log before it is done, and also when it
// is refused.
func (a *app) audited(act transfer.Act, g *agreement, decide func() error) error {
	refused := decide()
	e := transfer.Entry{
		Time: time.Now().UTC(), Act: act, Height: g.Height, Subject: g.Subject, Expiry: g.Expiry,
		Approvers: g.Approvers, SHA256: g.SHA256,
	}
	if refused != nil {
		e.Refused = command.OneLine(refused.Error())
	}
	return errors.Join(refused, e.Log(home.ExportLogPath(a.home)))
}

func (a *app) approveExport(
	ctx context.Context, digits string, s transfer.Subject, blocks int64, out string,
) error {
	switch {
	case digits == "" || s.Member == "" || s.To == "" || out == "":
		return command.Usage(errors.New("--vault, --member, --to and --out are needed"))
	case blocks < 1 || blocks > transfer.MaxBlocks:
		return command.Usage(fmt.Errorf("--blocks is not between 1 and %d", transfer.MaxBlocks))
	}
	if err := transfer.CheckRecipient(s.To); err != nil {
		return command.Usage(fmt.Errorf("--to: %w", err))
	}
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	if err := a.exportTarget(out); err != nil {
		return err
	}
	v, height, err := a.recordOf(ctx, cfg, digits)
	if err != nil {
		return err
	}
	s.ChainID, s.Vault, s.Epoch = cfg.ChainID, v.Name(), v.Epoch
	res := &agreement{
		File: out, Subject: s, Height: height, Expiry: height + blocks, Keyshares: []string{},
	}
	read := a.findMnemonic()
	err = a.withSigner(ctx, cfg, read, func(_ *sanity.Mnemonic, key *signer.Key) error {
		approval, err := transfer.Approve(key, cfg.Prefix, s, res.Expiry)
		if err != nil {
			return command.Usage(err)
		}
		data, err := approval.Encode()
		if err != nil {
			return err
		}
		res.SHA256, res.Approvers = sumOf(data), []string{approval.Approver}
		one := v
		one.Threshold = 1 // this one has to count, whoever else approves
		if err := a.audited(transfer.ActApprove, res, func() error {
			return transfer.Verify(one, s, height, []transfer.Approval{approval})
		}); err != nil {
			return err
		}
		return a.Write(ctx, func() error { return durable.Write(out, data) })
	})
	if err != nil {
		return err
	}
	err = a.Print(res, res.text)
	a.Done("the approval is signed", "send "+command.OneLine(out)+" to the member, for bifrost export")
	return err
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (a *app) exportKeyshares(
	ctx context.Context, digits, to string, paths []string, out string,
) error {
	if digits == "" || to == "" || len(paths) == 0 || out == "" {
		return command.Usage(errors.New("--vault, --to, --approval and --out are needed"))
	}
	if err := transfer.CheckRecipient(to); err != nil {
		return command.Usage(fmt.Errorf("--to: %w", err))
	}
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	approvals, err := readApprovals(paths)
	if err != nil {
		return err
	}
	if err := a.exportTarget(out); err != nil {
		return err
	}
	v, height, err := a.recordOf(ctx, cfg, digits)
	if err != nil {
		return err
	}
	res := &agreement{
		File: out, Height: height, Expiry: transfer.Expiry(approvals),
		Approvers: transfer.Approvers(approvals),
	}
	err = a.openKeystore(ctx, func(store *keystore.Store, key *signer.Key) error {
		res.Subject = transfer.Subject{
			ChainID: cfg.ChainID, Vault: v.Name(), Epoch: v.Epoch, To: to,
			Member: key.Bech32(cfg.Prefix),
		}
		var sealed []byte
		err := a.audited(transfer.ActExport, res, func() (err error) {
			sealed, err = sealAgreed(cfg, store, key, v, res, approvals)
			return err
		})
		if err != nil {
			return err
		}
		return a.Write(ctx, func() error { return durable.Write(out, sealed) })
	})
	if err != nil {
		return err
	}
	err = a.Print(res, res.text)
	a.Done("the keyshares are sealed for the wrapping key",
		fmt.Sprintf("bifrost import takes them up to block %d", res.Expiry))
	return err
}

// sealAgreed makes the file of an export if members agree, and the configuration lets it.
func sealAgreed(
	cfg home.Config,
	store *keystore.Store, key *signer.Key, v vault.Vault,
	res *agreement, approvals []transfer.Approval,
) ([]byte, error) {
	if !slices.Contains(cfg.Export.Whitelist, res.To) {
		return nil, command.Usage(errors.New(
			"the wrapping key is not in the whitelist under [export] in config.toml"))
	}
	if err := transfer.Verify(v, res.Subject, res.Height, approvals); err != nil {
		return nil, err
	}
	files, err := keyfiles.Read(v, cfg.Prefix, store.Load)
	if err != nil {
		return nil, err
	}
	defer keyfiles.Wipe(files)
	for _, f := range files {
		res.Keyshares = append(res.Keyshares, f.Name)
	}
	if err := transfer.CheckKeyshares(v, files, key.PubKey()); err != nil {
		return nil, err
	}
	sealed, err := transfer.Seal(key, res.Subject, approvals, files)
	res.SHA256 = sumOf(sealed)
	return sealed, err
}

func readApprovals(paths []string) (all []transfer.Approval, err error) {
	for _, path := range paths {
		data, err := readInput(path)
		if err != nil {
			return nil, err
		}
		approval, err := transfer.ParseApproval(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, approval)
	}
	return all, nil
}

func (a *app) importKeyshares(ctx context.Context, path, identityPath string) error {
	if identityPath == "" {
		return command.Usage(errors.New("--identity is missing"))
	}
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	if err := home.Check(a.home); err != nil {
		return command.Usage(err)
	}
	unlock, err := home.Lock(a.home)
	if err != nil {
		return err
	}
	defer unlock()
	export, sum, err := openExport(path, identityPath)
	if err != nil {
		return err
	}
	defer export.Wipe()
	v, height, err := a.recordOf(ctx, cfg, export.Vault)
	if err != nil {
		return err
	}
	res := &agreement{
		File: path, SHA256: sum, Subject: export.Subject, Height: height,
		Expiry: transfer.Expiry(export.Approvals), Approvers: transfer.Approvers(export.Approvals),
	}
	for _, f := range export.Files {
		res.Keyshares = append(res.Keyshares, f.Name)
	}
	err = a.openKeystore(ctx, func(store *keystore.Store, key *signer.Key) error {
		if err := a.audited(transfer.ActImport, res, func() error {
			return export.Check(v, cfg.ChainID, height, key.PubKey())
		}); err != nil {
			return err
		}
		return a.Write(ctx, func() error { return store.Save(v.Epoch, export.Files) })
	})
	if err != nil {
		return err
	}
	err = a.Print(res, res.text)
	a.Done("the keyshares are in the keystore", "bifrost start")
	return err
}

// openExport opens an exported file, and gives its SHA-256 in hex.
func openExport(path, identityPath string) (*transfer.Export, string, error) {
	sealed, err := durable.Read(path, transfer.MaxFileBytes)
	if err != nil {
		return nil, "", err
	}
	info, err := os.Stat(identityPath)
	if err != nil {
		return nil, "", err
	}
	if process.Exposed(identityPath, info) {
		return nil, "", command.Usage(fmt.Errorf("--identity: others may read %s (mode %04o): %s",
			identityPath, info.Mode().Perm(), process.PrivateAdvice))
	}
	identity, err := readInput(identityPath)
	if err != nil {
		return nil, "", err
	}
	defer sanity.Wipe(identity)
	export, err := transfer.Open(sealed, identity)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return export, sumOf(sealed), nil
}
