package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// seal makes the envelope of a vault's keyshares. Every error of it is loud, because without an
// envelope there is no vote.
func (p *Publisher) seal(ctx context.Context, v vault.Vault, s *keyshares) ([]byte, error) {
	params, err := p.chain.Params(ctx)
	if err != nil {
		return nil, err
	}
	files, err := p.toSeal(v, s)
	if err != nil {
		return nil, p.cannotSeal(v.Name(), err)
	}
	if _, ok := keyfiles.FindSecrets(files); ok {
		defer keyfiles.Wipe(files) // they are made for the envelope
	}
	sealed, err := p.sealFor(files, params)
	if err != nil {
		return nil, p.cannotSeal(v.Name(), err)
	}
	p.setSealError("")
	return sealed, nil
}

// toSeal are the files that a member's envelope holds: of a split vault its secrets, when these and
// the group part that all members agreed on are its keyshares again, and otherwise its keyshares.
func (p *Publisher) toSeal(v vault.Vault, s *keyshares) ([]envelope.File, error) {
	log := p.log.Warn().Str("vault", v.Name())
	switch {
	case !v.Split:
		return s.files, nil
	case len(v.SharesHash) > 0 && !bytes.Equal(s.hash, v.SharesHash):
		log.Msg("THE ENVELOPE HOLDS THE KEYSHARES WHOLE: the members agreed on another group part " +
			"than the one in the keyshares here")
		return s.files, nil
	}
	secrets, err := p.split(v, s.files, s.group)
	if errors.Is(err, keyshare.ErrNotSplit) {
		log.Err(err).Msg("THE ENVELOPE HOLDS THE KEYSHARES WHOLE: they cannot be split")
		return s.files, nil
	}
	return []envelope.File{secrets}, err
}

// sealFor makes an envelope that the chain takes: with the work factor that it asks for when that
// is more than ours.
func (p *Publisher) sealFor(files []envelope.File, params types.Params) ([]byte, error) {
	p.sealing.Lock()
	defer p.sealing.Unlock()
	begin := time.Now()
	sealed, err := p.cfg.Seal(files, max(envelope.DefaultWorkFactor, int(params.MinWorkFactor)))
	if err != nil {
		return nil, err
	}
	p.cfg.Metrics.Sealed(time.Since(begin))
	return sealed, p.checkForm(sealed, params)
}

func (p *Publisher) cannotSeal(vault string, err error) error {
	p.cfg.Metrics.SealFailed()
	p.log.Error().
		Err(err).
		Str("vault", vault).
		Msg("SEALING FAILED: the backup of this vault cannot be published")
	err = fmt.Errorf("sealing: %w", err)
	p.setSealError(err.Error())
	return err
}

func (p *Publisher) setSealError(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.SealError = text
}

func (p *Publisher) checkForm(sealed []byte, params types.Params) error {
	return sanity.CheckEnvelopeForm(sealed, params.EnvelopeRules())
}

func commitmentOf(envelope []byte) string {
	sum := sha256.Sum256(envelope)
	return hex.EncodeToString(sum[:])
}
