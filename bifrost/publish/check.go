package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/rotation"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Once a certificate stands, a threshold of members makes the vault's signatures over the check
// message. One of them can spoil a signature, and of ECDSA's it cannot be told who did: so the sets
// of signers take turns, each with a window of blocks, which all members see alike.

// maxWindow is the longest window in blocks: a spoilt one costs this much time.
const maxWindow = 32

// maxSignings is how often a set tries in its window: more than a signer that comes late takes, and
// not so often that who spoils signatures learns anything by it.
const maxSignings = 3

// resendRank is how many blocks a signer waits with the signatures for the one before it.
const resendRank = 2

// window is the number of the window that a block is in and how long it takes. All sets have one
// between the certificate and the deadline, and a part of it is left for the last transaction.
func window(k vault.Keygen, height int64) (number uint64, end int64) {
	n, threshold := len(k.Members), int(k.Threshold)
	length := (k.Deadline - k.Certificate.Height) / int64(rotation.Windows(n, threshold)+1)
	length = min(max(length, 1), maxWindow)
	number = uint64(max(height-k.Certificate.Height, 0) / length)
	return number, k.Certificate.Height + (int64(number)+1)*length
}

// signing is the work of a window, by one of its signers.
type signing struct {
	window uint64
	stop   context.CancelFunc
}

// check starts this member's part in the signatures of a keygen's vault, when it is its turn.
func (p *Publisher) check(ctx context.Context, k vault.Keygen, height int64) error {
	if k.Certificate == nil || k.Certificate.Checked || height >= k.Deadline {
		return nil
	}
	number, end := window(k, height)
	p.mu.Lock()
	now := p.signing[k.Id]
	if now != nil && now.window != number {
		now.stop()
		delete(p.signing, k.Id)
		now = nil
	}
	made := p.entries[outbox.CheckName(k.Id)] != nil
	p.mu.Unlock()
	if now != nil || made {
		return nil
	}
	var signers [][]byte
	for _, i := range rotation.Signers(len(k.Members), int(k.Threshold), k.Id, number) {
		signers = append(signers, k.Members[i].PubKey)
	}
	if !contains(signers, p.cfg.PubKey) {
		return nil
	}
	v := k.Makes(k.Certificate.PubKey, k.Certificate.PubKeyEd25519)
	files, err := p.keyshareFiles(v)
	if errors.Is(err, errNoKeyshares) {
		return nil // the vote's record still holds them, or they are lost
	}
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(ctx)
	p.mu.Lock()
	p.signing[k.Id] = &signing{window: number, stop: stop}
	p.mu.Unlock()
	p.workers.Go(func() {
		defer stop()
		defer keyfiles.Wipe(files)
		p.sign(work, k, v, files, signers, number, end)
	})
	return nil
}

// stopSigning ends the work on keygens that are closed or have their signatures.
func (p *Publisher) stopSigning(open map[string]vault.Keygen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, s := range p.signing {
		k, ok := open[outbox.VoteName(id)]
		if !ok || k.Certificate == nil || k.Certificate.Checked {
			s.stop()
			delete(p.signing, id)
		}
	}
}

// sign makes both signatures with the other signers of the window, and leaves them for the loop to
// deliver. It tries again in the same window, up to maxSignings times: signers may come late.
func (p *Publisher) sign(
	ctx context.Context,
	k vault.Keygen,
	v vault.Vault,
	files []envelope.File,
	signers [][]byte,
	window uint64,
	end int64,
) {
	log := p.log.With().Uint64("keygen", k.Id).Uint64("window", window).Logger()
	log.Info().Int("signers", len(signers)).Int64("until", end).Msg("signing the check message")
	digest := types.CheckMessage(p.cfg.ChainID, k.Id, v.PubKey, v.PubKeyEd25519)
	id := fmt.Sprintf("%s/check/%d/%d", p.cfg.ChainID, k.Id, window)
	for range maxSignings {
		s, err := p.signBoth(ctx, id, files, signers, digest)
		if err == nil && !s.verify(v, digest) {
			err = errors.New("the signatures do not verify")
		}
		if err == nil {
			err = p.sendCheck(k, s, slices.IndexFunc(signers, p.isMe))
		}
		if ctx.Err() != nil || err == nil {
			return
		}
		log.Warn().Err(err).Msg("signing the check message failed")
		select {
		case <-ctx.Done():
			return
		case <-time.After(p.cfg.Poll):
		}
	}
}

func (p *Publisher) isMe(pubKey []byte) bool { return bytes.Equal(pubKey, p.cfg.PubKey) }

func (p *Publisher) signBoth(
	ctx context.Context, id string, files []envelope.File, signers [][]byte, digest []byte,
) (signatures, error) {
	var sigs [2][]byte
	for i, curve := range []string{"secp256k1", "ed25519"} {
		begin := time.Now()
		var err error
		sigs[i], err = p.cfg.Tss.Keysign(ctx, ceremony.KeysignRequest{
			ID:       id + "/" + curve,
			Keyshare: files[i].Data,
			Signers:  signers,
			Message:  digest,
			// All members proved theirs in the keygen that made the keyshares.
			TrustParameters: true,
		})
		p.cfg.Metrics.Ceremony("keysign", time.Since(begin), err)
		if err != nil {
			return signatures{}, fmt.Errorf("with the vault's %s key: %w", curve, err)
		}
	}
	return signatures{secp256k1: sigs[0], ed25519: sigs[1]}, nil
}

// sendCheck leaves the signatures for the loop to deliver. All signers have them: each waits for
// those before it, so that one transaction is enough.
func (p *Publisher) sendCheck(k vault.Keygen, s signatures, rank int) error {
	message, err := proto.Marshal(&types.MsgTssCheck{
		Signer:           p.cfg.Address,
		KeygenId:         k.Id,
		Signature:        s.secp256k1,
		SignatureEd25519: s.ed25519,
	})
	if err != nil {
		return err
	}
	r := &outbox.Record{
		ChainID: p.cfg.ChainID, Signer: p.cfg.Address, Kind: outbox.Check, Epoch: k.Id,
		OpenedHeight: k.OpenedHeight, Deadline: k.Deadline, Members: len(k.Members),
		Step: outbox.StepMessage, Message: message,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries[r.Name()] = &entry{rec: r, after: p.status.Height + int64(resendRank*rank) - 1}
	return nil
}

// unchecked says that a keygen waits for its vault's signatures, nil when it does not.
func unchecked(k vault.Keygen, height int64) error {
	if k.Certificate == nil || k.Certificate.Checked {
		return nil
	}
	number, end := window(k, height)
	return fmt.Errorf(
		"waiting for the vault's signatures over the check message: window %d, until block %d",
		number, end)
}

// settleCheck looks whether the vault's signatures stand in state, whoever brought them.
func (p *Publisher) settleCheck(e *entry, k vault.Keygen, isOpen bool) bool {
	if isOpen && (k.Certificate == nil || !k.Certificate.Checked) {
		return false
	}
	p.forget(e)
	return true
}
