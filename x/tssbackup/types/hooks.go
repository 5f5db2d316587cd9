package types

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// HookMember is a member as hooks see it.
type HookMember struct {
	// Address is the account of the member's signer when the churn opened.
	Address sdk.AccAddress
	// Operator is the validator, by which x/staking and x/slashing find it.
	Operator sdk.ValAddress
}

// TssbackupHooks tell the embedding chain what happened to vaults and members.
//
// Each hook runs after the module's own state is written, in a branch of the state of its own. When
// a hook fails or panics, its branch is dropped, it is logged with an EventHookFailed, and
// everything else goes on: a mistake in the embedding chain must neither halt it nor undo a churn.
type TssbackupHooks interface {
	// AfterVaultActive runs when a vault may hold money.
	AfterVaultActive(ctx context.Context, pubKey []byte, vault Vault) error
	// AfterEpochActive runs when a reshare has given a vault its next epoch: its members, its
	// threshold and their public shares are others, and its keys the same.
	AfterEpochActive(ctx context.Context, pubKey []byte, vault Vault) error
	// AfterVaultRetired runs when a vault holds no money any more.
	AfterVaultRetired(ctx context.Context, pubKey []byte, vault Vault) error
	// AfterKeygenFailed runs once for each try of a keygen that failed, in the block in which it
	// did, with the members at fault: those that at least the threshold blamed, and those that were
	// silent at the deadline. Both may be empty. In a reshare members of the epoch that is reshared
	// may be blamed too. It does not run for a keygen that was ready, also
	// when its churn fails later.
	AfterKeygenFailed(ctx context.Context, keygenID uint64, blamed, silent []HookMember) error
	// AfterHeartbeatMissed runs once for each interval that a member of a vault that is not retired
	// let pass without a heartbeat. missed counts them in this epoch, this one included: a churn
	// begins a new one. It does not run where heartbeat_interval is 0.
	AfterHeartbeatMissed(ctx context.Context, member HookMember, epoch, missed uint64) error
}

// TssbackupHooksWrapper is what a module provides to depinject to have its hooks called, or what an
// app supplies to it. Hooks of several modules run in the order of the modules' names.
type TssbackupHooksWrapper struct{ TssbackupHooks }

// IsOnePerModuleType implements depinject.OnePerModuleType.
func (TssbackupHooksWrapper) IsOnePerModuleType() {}

func (TssbackupHooksWrapper) supplied() {}

// SuppliedHooks is a TssbackupHooksWrapper that the app itself supplies. depinject hands out a type
// of which each module may have one as a map of what modules provide, in which what was supplied is
// not. But it finds that for an interface which this type alone implements.
type SuppliedHooks interface {
	TssbackupHooks
	supplied()
}
