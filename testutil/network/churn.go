package network

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Authority is the address that may start churns, retire vaults and change the parameters.
func (n *Network) Authority() string {
	if a := n.cfg.Chain.Authority; a.Key != nil {
		return a.Bech32()
	}
	gov := Account{addresses: n.cfg.Chain.Addresses}
	return gov.write(authtypes.NewModuleAddress(govtypes.ModuleName))
}

// maxSigners is how many signatures auth accepts in a transaction. So many validators are a quorum
// of up to 20.
const maxSigners = 7

// Govern has the chain's authority execute messages. Where that is governance it is a proposal that
// the operators of the running validators vote for. Proposal and votes go in one transaction, so
// that no vote can miss the voting period of one second.
func (n *Network) Govern(msgs ...sdk.Msg) {
	n.t.Helper()
	if a := n.cfg.Chain.Authority; a.Key != nil {
		n.Send(a, msgs...)
		return
	}
	gov := govv1.NewQueryClient(n.FirstRunning().ClientContext())
	ctx := context.Background()
	params, err := gov.Params(ctx, &govv1.QueryParamsRequest{ParamsType: govv1.ParamDeposit})
	require.NoError(n.t, err)
	list, err := gov.Proposals(
		ctx,
		&govv1.QueryProposalsRequest{Pagination: &query.PageRequest{Reverse: true, Limit: 1}},
	)
	require.NoError(n.t, err)
	id := uint64(1)
	if len(list.Proposals) > 0 {
		id = list.Proposals[0].Id + 1
	}

	proposer := n.FirstRunning().Operator
	proposal, err := govv1.NewMsgSubmitProposal(
		msgs,
		params.Params.MinDeposit,
		proposer.Bech32(),
		"",
		"test",
		"test",
		false,
	)
	require.NoError(n.t, err)
	parts := []sdk.Msg{proposal}
	var operators []Account
	for _, v := range n.Validators {
		if v.Running() && len(operators) < maxSigners {
			operators = append(operators, v.Operator)
			parts = append(
				parts,
				&govv1.MsgVote{
					ProposalId: id,
					Voter:      v.Operator.Bech32(),
					Option:     govv1.VoteOption_VOTE_OPTION_YES,
				},
			)
		}
	}
	opts := TxOptions{Gas: 5 * defaultGas, Fee: n.cfg.Chain.Fee(5 * defaultGas)}
	n.deliver(n.signAll(operators, opts, parts...))

	var last *govv1.Proposal
	n.Wait(func() bool {
		res, err := gov.Proposal(ctx, &govv1.QueryProposalRequest{ProposalId: id})
		require.NoError(n.t, err)
		last = res.Proposal
		return last.Status != govv1.ProposalStatus_PROPOSAL_STATUS_VOTING_PERIOD
	}, "end of the voting period")
	require.Equal(n.t, govv1.ProposalStatus_PROPOSAL_STATUS_PASSED, last.Status, last.FailedReason)
}

// StartChurn has the chain's authority start a churn and returns it. For a churn without it, set
// NextChurnHeight in Config.Tssbackup and use WaitChurn, as where the chain starts churns itself.
func (n *Network) StartChurn() types.Churn {
	n.t.Helper()
	n.Govern(&types.MsgStartChurn{Authority: n.Authority()})
	return n.WaitChurn(types.ChurnStatus_CHURN_STATUS_OPEN)
}

// WaitChurn waits until the latest churn has this status and returns it.
func (n *Network) WaitChurn(status types.ChurnStatus) types.Churn {
	n.t.Helper()
	var last types.Churn
	n.Wait(func() bool {
		res, err := n.Query().Churns(context.Background(), &types.QueryChurnsRequest{
			Pagination: &query.PageRequest{Reverse: true, Limit: 1},
		})
		require.NoError(n.t, err)
		if len(res.Churns) == 0 {
			return false
		}
		last = res.Churns[0]
		return last.Status == status
	}, "latest churn with status %s", status)
	return last
}
