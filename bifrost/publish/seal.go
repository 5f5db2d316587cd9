package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// errNoKeyshares says that a vault's keyshares are not on this disk.
var errNoKeyshares = errors.New("the vault's keyshares are not here: recover them")

// sealVault makes the envelope of a vault's keyshares. Every error of it is loud,
// because without an envelope there is no vote.
func (p *Publisher) sealVault(ctx context.Context, vault, vaultEd25519 string, members []types.MemberInfo) ([]byte, error) {
	params, err := p.chain.Params(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := p.sealChecked(vault, vaultEd25519, members, params)
	if err != nil {
		p.cfg.Metrics.sealErrors.Inc()
		p.log.Error().Err(err).Str("vault", vault).Msg("SEALING FAILED: the backup of this vault cannot be published")
		err = fmt.Errorf("sealing: %w", err)
	}
	p.mu.Lock()
	p.status.SealError = ""
	if err != nil {
		p.status.SealError = err.Error()
	}
	p.mu.Unlock()
	return sealed, err
}

func (p *Publisher) sealChecked(vault, vaultEd25519 string, members []types.MemberInfo, params types.Params) ([]byte, error) {
	files, err := p.vaultFiles(vault, vaultEd25519, members)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, f := range files {
			sanity.Wipe(f.Data)
		}
	}()
	p.sealing.Lock()
	defer p.sealing.Unlock()
	begin := time.Now()
	sealed, err := p.cfg.Seal(files)
	if err != nil {
		return nil, err
	}
	p.cfg.Metrics.sealSeconds.Observe(time.Since(begin).Seconds())
	return sealed, p.checkForm(sealed, params)
}

func (p *Publisher) checkForm(sealed []byte, params types.Params) error {
	return sanity.CheckEnvelopeForm(sealed, params.EnvelopeRules())
}

// vaultFiles loads a vault's keyshare files and makes sure that they are this
// vault's and this member's: a backup of anything else is worse than none.
func (p *Publisher) vaultFiles(vault, vaultEd25519 string, members []types.MemberInfo) ([]envelope.File, error) {
	keys := vaultKeys(vault, vaultEd25519)
	names, err := p.fileNames(keys)
	if err != nil {
		return nil, err
	}
	var files []envelope.File // in the order of the names
	for _, name := range names {
		data, err := p.store.Load(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: no %s", errNoKeyshares, name)
		}
		if err != nil {
			return nil, err
		}
		if err := p.checkKeyshare(data, keys, p.cfg.PubKey, keysOf(members)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, envelope.File{Name: name, Data: data})
	}
	return files, nil
}

// fileNames are the names of a vault's keyshare files: secp256k1, then ed25519.
func (p *Publisher) fileNames(vault keyshare.VaultKeys) ([2]string, error) {
	ecdsa, err := keyshare.EncodeSecp256k1(p.cfg.Prefix, vault.Secp256k1)
	if err != nil {
		return [2]string{}, err
	}
	eddsa, err := keyshare.EncodeEd25519(p.cfg.Prefix, vault.Ed25519)
	if err != nil {
		return [2]string{}, err
	}
	return [2]string{keyshare.FileName(ecdsa), keyshare.FileName(eddsa)}, nil
}

func checkKeyshare(file []byte, vault keyshare.VaultKeys, member []byte, members [][]byte) error {
	k, err := keyshare.Parse(file)
	if err != nil {
		return err
	}
	defer k.Wipe()
	return k.Check(vault, member, members)
}
