package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// beatWait is how long a heartbeat is waited for, and beatPoll the time between two looks.
	beatWait = time.Minute
	beatPoll = time.Second
)

// sentHeartbeat is a heartbeat in JSON.
type sentHeartbeat struct {
	// BeaconHeight is the block whose beacon it signs.
	BeaconHeight int64 `json:"beacon_height"`
	// Sent tells that it stands in state, as a node says.
	Sent  bool   `json:"sent"`
	Error string `json:"error"`
}

var errHeartbeat = errors.New("the heartbeat does not stand")

func (a *app) drillCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill --node URL --node URL",
		Short: "Rehearse a recovery with the words that are kept apart, and write nothing",
		Long: `drill is the recovery up to the writing, as --dry-run is: it finds, fetches, opens
and checks everything, and says what would have been written.

With --heartbeat it then tells the chain that the words are in hand and bring the
keyshares back: for each vault that they do, a heartbeat signed by the recipient key
that the mnemonic derives. It is the chain's proof that the paper still exists, and
says that it was one of paper. It costs no fee, and carries no secret. Where no
heartbeat is due, none is sent.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.dryRun = true
			return a.recover(cmd.Context())
		},
	}
	a.recoverFlags(cmd)
	cmd.Flags().BoolVar(&a.heartbeat, "heartbeat", false,
		"tell the chain of each vault whose keyshares came back")
	return cmd
}

// beat sends a heartbeat for each vault whose keyshares came back, and waits until all of them
// stand. What became of each is in the recovery.
func (a *app) beat(
	ctx context.Context, state *chain.State, r *recovery, results []restore.Result,
	mnemonic *sanity.Mnemonic,
) error {
	key, err := signer.Derive(mnemonic, a.hdPath)
	if err != nil {
		return err
	}
	defer key.Wipe()
	_, member, err := bech32.DecodeAndConvert(r.Address)
	if err != nil {
		return err
	}
	if !bytes.Equal(member, types.SignerAddress(key.PubKey())) {
		return fmt.Errorf("%w: the mnemonic does not derive the key of %s", errHeartbeat, r.Address)
	}
	var failed []error
	for i, result := range results {
		if result.Err != nil {
			continue
		}
		beat, err := a.beatFor(ctx, state, result.Vault, member, r, key, mnemonic)
		if err != nil {
			beat.Error = command.OneLine(err.Error())
			r.Vaults[i].Code = codeOf(err)
			failed = append(failed, fmt.Errorf("%w: vault %s: %w",
				errHeartbeat, vault.Short(result.Vault.Name()), err))
		}
		r.Vaults[i].Heartbeat = beat
	}
	return errors.Join(failed...)
}

// beatFor makes and sends one heartbeat. There is none where none is due.
func (a *app) beatFor(
	ctx context.Context, state *chain.State, v vault.Vault, member []byte, r *recovery,
	key *signer.Key, mnemonic *sanity.Mnemonic,
) (*sentHeartbeat, error) {
	slot, err := state.Slot(ctx, v, member)
	if err != nil {
		return &sentHeartbeat{}, err
	}
	name := vault.Short(v.Name())
	if slot.Before == nil || slot.Before.Due == 0 {
		a.Warn(fmt.Sprintf("vault %s: no heartbeat is due, and none is sent", name))
		return nil, nil
	}
	if len(slot.Beacons) == 0 {
		return &sentHeartbeat{}, errors.New("the chain has no beacon to sign yet")
	}
	beat := &sentHeartbeat{BeaconHeight: slot.Beacons[0].Height}
	if slot.Before.BeaconHeight >= beat.BeaconHeight {
		return beat, fmt.Errorf("the latest one, of %d blocks ago, signs the latest beacon: wait for "+
			"the next, at most %d blocks", r.Height-beat.BeaconHeight, types.BeaconInterval)
	}
	recipient, err := signer.DeriveRecipient(mnemonic, slot.Recipient.Index)
	if err != nil {
		return beat, err
	}
	defer recipient.Wipe()
	if !bytes.Equal(recipient.Public(), slot.Recipient.Key) {
		return beat, fmt.Errorf("%w: it does not derive the recipient key of this vault", errMnemonic)
	}
	kind := types.HeartbeatKind_HEARTBEAT_KIND_PAPER
	signature, err := recipient.SignBeat(verenc.Beat{
		ChainID: r.ChainID, Epoch: v.Epoch, Member: member,
		Height: beat.BeaconHeight, AppHash: slot.Beacons[0].AppHash, Kind: uint32(kind),
	})
	if err != nil {
		return beat, err
	}
	msg := &types.MsgHeartbeat{
		Signer: r.Address, Epoch: v.Epoch, BeaconHeight: beat.BeaconHeight, Kind: kind,
		Signature: signature,
	}
	a.Progress("vault %s: sending a heartbeat", name)
	if err := a.deliver(ctx, msg, v, r, key); err != nil {
		return beat, err
	}
	beat.Sent = true
	return beat, nil
}

// deliver hands a heartbeat to the nodes in turn until one shows that it stands.
func (a *app) deliver(
	ctx context.Context, msg *types.MsgHeartbeat, v vault.Vault, r *recovery, key *signer.Key,
) error {
	var failed []error
	for _, node := range a.clients {
		err := submit(ctx, node, msg, v, r, key)
		if err == nil {
			return nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", node.Name(), err))
	}
	return errors.Join(failed...)
}

// submit hands a heartbeat to a node and waits until that shows that it stands. The node before may
// have taken it, and not have said so.
func submit(
	ctx context.Context, node *chain.Client, msg *types.MsgHeartbeat, v vault.Vault, r *recovery,
	key *signer.Key,
) error {
	stands := func() (bool, error) {
		latest, err := node.Heartbeat(ctx, v.Name(), r.Address)
		return err == nil && latest != nil && latest.BeaconHeight >= msg.BeaconHeight, err
	}
	if done, _ := stands(); done {
		return nil
	}
	number, sequence, err := node.Account(ctx, r.Address)
	if err != nil {
		return err
	}
	gas, err := types.SignerGas(msg, len(v.Members))
	if err != nil {
		return err
	}
	tx, err := chain.SignTx(msg, chain.TxParams{
		ChainID: r.ChainID, AccountNumber: number, Sequence: sequence, Gas: gas,
		// As long as its beacon is one of the two latest: blocks pass while other vaults' envelopes
		// are opened and other nodes are waited for.
		TimeoutHeight: uint64(msg.BeaconHeight) + 2*types.BeaconInterval,
	}, key)
	if err != nil {
		return err
	}
	err = node.Broadcast(ctx, tx)
	if err != nil && !errors.Is(err, sdkerrors.ErrTxInMempoolCache) {
		return err
	}
	until := time.After(beatWait)
	for {
		done, err := stands()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-until:
			return errors.Join(errors.New("it found no block in a minute"), err)
		case <-time.After(beatPoll):
		}
	}
}
