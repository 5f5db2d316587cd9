package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// seal makes the envelope of a vault's keyshares. Every error of it is loud, because without an
// envelope there is no vote.
func (p *Publisher) seal(ctx context.Context, vault string, files []envelope.File) ([]byte, error) {
	params, err := p.chain.Params(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := p.sealFor(files, params)
	if err != nil {
		return nil, p.cannotSeal(vault, err)
	}
	p.setSealError("")
	return sealed, nil
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
