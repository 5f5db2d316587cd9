package keeper

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var _ types.QueryServer = queryServer{}

type queryServer struct {
	k         *Keeper
	envelopes Envelopes
}

// NewQueryServer returns the server of the module's queries. envelopes is nil on a node that keeps
// no archive.
func NewQueryServer(k *Keeper, envelopes Envelopes) types.QueryServer {
	return queryServer{k, envelopes}
}

// statusOf makes an error one of gRPC: what is not there is NotFound.
func statusOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, collections.ErrNotFound),
		errors.Is(err, types.ErrVaultNotFound),
		errors.Is(err, types.ErrNotArchived):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, types.ErrInvalidVault):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, types.ErrArchiveDamaged):
		return status.Error(codes.DataLoss, err.Error())
	case errors.Is(err, types.ErrHeldByMembers):
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return err
}

// missing is statusOf for a record that was asked for by its key; the format names it.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, collections.ErrNotFound) {
		return status.Errorf(codes.NotFound, format, args...)
	}
	return statusOf(err)
}

func invalid(err error) error {
	return status.Error(codes.InvalidArgument, err.Error())
}

var errEmptyRequest = status.Error(codes.InvalidArgument, "empty request")

// Params returns the parameters.
func (s queryServer) Params(
	ctx context.Context,
	req *types.QueryParamsRequest,
) (*types.QueryParamsResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	params, err := s.k.Params.Get(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryParamsResponse{Params: params}, nil
}

// Signer returns the signer of an operator, or the present signer of the operator that registered
// an address.
func (s queryServer) Signer(
	ctx context.Context,
	req *types.QuerySignerRequest,
) (*types.QuerySignerResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	operator, err := s.k.staking.ValidatorAddressCodec().StringToBytes(req.Address)
	if err != nil {
		addr, err := s.k.accounts.AddressCodec().StringToBytes(req.Address)
		if err != nil {
			return nil, invalid(
				errors.New("neither a validator's operator address nor an account address"),
			)
		}
		if operator, err = s.k.operatorOf(ctx, addr); err != nil {
			return nil, missing(err, "%s was never registered as a signer", req.Address)
		}
	}
	signer, err := s.k.Signers.Get(ctx, operator)
	if err != nil {
		return nil, missing(err, "%s has no signer", req.Address)
	}
	info, err := s.k.signerInfo(ctx, operator, signer)
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QuerySignerResponse{Signer: info}, nil
}

// Signers lists the present signers.
func (s queryServer) Signers(
	ctx context.Context,
	req *types.QuerySignersRequest,
) (*types.QuerySignersResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	signers, page, err := query.CollectionPaginate(ctx, s.k.Signers, req.Pagination,
		func(operator []byte, signer types.Signer) (types.SignerInfo, error) {
			return s.k.signerInfo(ctx, operator, signer)
		})
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QuerySignersResponse{Signers: signers, Pagination: page}, nil
}

// SignerTerm tells in which term a signer's messages count in the next block.
func (s queryServer) SignerTerm(
	ctx context.Context,
	req *types.QuerySignerTermRequest,
) (*types.QuerySignerTermResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	signer, err := s.k.accounts.AddressCodec().StringToBytes(req.Address)
	if err != nil {
		return nil, invalid(err)
	}
	if _, err := s.k.SignerOwners.Get(ctx, signer); err != nil {
		return nil, missing(err, "%s was never registered as a signer", req.Address)
	}
	term, err := s.k.claimed(ctx, signer)
	if err != nil {
		return nil, statusOf(err)
	}
	window, err := s.k.claimWindow(ctx, signer)
	if err != nil {
		return nil, statusOf(err)
	}
	res := &types.QuerySignerTermResponse{
		Term: term.Term, Nonce: hex.EncodeToString(term.Nonce), Height: term.Height,
		Addresses: term.Addresses, FreeClaims: types.MaxExemptClaims - uint32(window.Count),
	}
	if window.Count > 0 {
		res.FreeClaimsHeight = window.Start + types.ClaimWindowBlocks
	}
	return res, nil
}

// Churn returns one churn.
func (s queryServer) Churn(
	ctx context.Context,
	req *types.QueryChurnRequest,
) (*types.QueryChurnResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	churn, err := s.k.Churns.Get(ctx, req.Id)
	if err != nil {
		return nil, missing(err, "churn %d not found", req.Id)
	}
	return &types.QueryChurnResponse{Churn: churn}, nil
}

// Churns lists the churns, and tells when the next may open by itself.
func (s queryServer) Churns(
	ctx context.Context,
	req *types.QueryChurnsRequest,
) (*types.QueryChurnsResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	churns, page, err := query.CollectionPaginate(ctx, s.k.Churns, req.Pagination,
		func(_ uint64, churn types.Churn) (types.Churn, error) { return churn, nil })
	if err != nil {
		return nil, statusOf(err)
	}
	next, err := s.k.NextChurnHeight.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	return &types.QueryChurnsResponse{Churns: churns, Pagination: page, NextChurnHeight: next}, nil
}

// Keygen returns one keygen with its votes.
func (s queryServer) Keygen(
	ctx context.Context,
	req *types.QueryKeygenRequest,
) (*types.QueryKeygenResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	keygen, err := s.k.Keygens.Get(ctx, req.Id)
	if err != nil {
		return nil, missing(err, "keygen %d not found", req.Id)
	}
	info, err := s.k.keygenInfo(ctx, keygen)
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryKeygenResponse{Keygen: info}, nil
}

// Keygens lists the keygens, those of one status when it is set; then it reads no others.
func (s queryServer) Keygens(
	ctx context.Context,
	req *types.QueryKeygensRequest,
) (*types.QueryKeygensResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	var keygens []types.KeygenInfo
	var page *query.PageResponse
	var err error
	if req.Status == types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED {
		keygens, page, err = query.CollectionPaginate(ctx, s.k.Keygens, req.Pagination,
			func(_ uint64, keygen types.Keygen) (types.KeygenInfo, error) {
				return s.k.keygenInfo(ctx, keygen)
			})
	} else {
		keygens, page, err = query.CollectionPaginate(ctx, s.k.KeygensOf, req.Pagination,
			func(key collections.Pair[uint32, uint64], _ bool) (types.KeygenInfo, error) {
				keygen, err := s.k.Keygens.Get(ctx, key.K2())
				if err != nil {
					return types.KeygenInfo{}, err
				}
				return s.k.keygenInfo(ctx, keygen)
			}, query.WithCollectionPaginationPairPrefix[uint32, uint64](uint32(req.Status)))
	}
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryKeygensResponse{Keygens: keygens, Pagination: page}, nil
}

// Vault returns one vault.
func (s queryServer) Vault(
	ctx context.Context,
	req *types.QueryVaultRequest,
) (*types.QueryVaultResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	pubKey, err := types.ParseVault(req.Vault)
	if err != nil {
		return nil, statusOf(err)
	}
	vault, err := s.k.vault(ctx, pubKey)
	if err != nil {
		return nil, statusOf(err)
	}
	info, err := s.k.vaultInfo(ctx, pubKey, vault)
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryVaultResponse{Vault: info}, nil
}

// Vaults lists the vaults that are not retired, or those of one status; of these the ones of one
// member when it is set. It reads retired ones when they are asked for alone.
func (s queryServer) Vaults(
	ctx context.Context,
	req *types.QueryVaultsRequest,
) (*types.QueryVaultsResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	var member []byte
	if req.Member != "" {
		var err error
		if member, err = s.k.accounts.AddressCodec().StringToBytes(req.Member); err != nil {
			return nil, invalid(err)
		}
	}
	if req.Status == types.VaultStatus_VAULT_STATUS_RETIRED {
		return s.retiredVaults(ctx, member, req.Pagination)
	}
	live, err := s.k.live(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	var vaults []types.VaultInfo
	for _, v := range live.Vaults {
		vault, err := s.k.vault(ctx, v.PubKey)
		if err != nil {
			return nil, statusOf(err)
		}
		all := req.Status == types.VaultStatus_VAULT_STATUS_UNSPECIFIED
		if !all && vault.Status != req.Status || !hasMember(vault, member) {
			continue
		}
		info, err := s.k.vaultInfo(ctx, v.PubKey, vault)
		if err != nil {
			return nil, statusOf(err)
		}
		vaults = append(vaults, info)
	}
	name := func(v types.VaultInfo) []byte { return []byte(v.Vault) }
	vaults, page, err := paginate(vaults, name, req.Pagination)
	if err != nil {
		return nil, invalid(err)
	}
	return &types.QueryVaultsResponse{Vaults: vaults, Pagination: page}, nil
}

// retiredVaults lists the retired vaults, those of one member when it is set; then it reads no
// others.
func (s queryServer) retiredVaults(
	ctx context.Context, member []byte, req *query.PageRequest,
) (*types.QueryVaultsResponse, error) {
	info := func(epoch uint64) (types.VaultInfo, error) {
		pubKey, vault, err := s.k.vaultOf(ctx, epoch)
		if err != nil {
			return types.VaultInfo{}, err
		}
		return s.k.vaultInfo(ctx, pubKey, vault)
	}
	// A former epoch is over while its vault may live, and has other members than the vault.
	isRetired := func(epoch uint64) (bool, error) {
		_, vault, err := s.k.vaultOf(ctx, epoch)
		return !vault.IsLive() && vault.Epoch == epoch, err
	}
	var vaults []types.VaultInfo
	var page *query.PageResponse
	var err error
	if member == nil {
		vaults, page, err = query.CollectionFilteredPaginate(ctx, s.k.Retirements, req,
			func(key collections.Pair[uint64, uint64], _ []byte) (bool, error) {
				return isRetired(key.K2())
			},
			func(key collections.Pair[uint64, uint64], _ []byte) (types.VaultInfo, error) {
				return info(key.K2())
			})
	} else {
		vaults, page, err = query.CollectionFilteredPaginate(ctx, s.k.Memberships, req,
			func(key collections.Pair[[]byte, uint64], _ bool) (bool, error) {
				return isRetired(key.K2())
			},
			func(key collections.Pair[[]byte, uint64], _ bool) (types.VaultInfo, error) {
				return info(key.K2())
			},
			query.WithCollectionPaginationPairPrefix[[]byte, uint64](member))
	}
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryVaultsResponse{Vaults: vaults, Pagination: page}, nil
}

// hasMember reports whether a vault has this member; nil stands for anyone.
func hasMember(vault types.Vault, member []byte) bool {
	if member == nil {
		return true
	}
	_, ok := types.FindMember(vault.Members, member)
	return ok
}

// History lists every vault and epoch that a member was ever in.
func (s queryServer) History(
	ctx context.Context, req *types.QueryHistoryRequest,
) (*types.QueryHistoryResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	member, err := s.k.accounts.AddressCodec().StringToBytes(req.Member)
	if err != nil {
		return nil, invalid(err)
	}
	history, page, err := query.CollectionPaginate(ctx, s.k.Memberships, req.Pagination,
		func(key collections.Pair[[]byte, uint64], _ bool) (types.Membership, error) {
			return s.k.membership(ctx, key.K2(), member)
		}, query.WithCollectionPaginationPairPrefix[[]byte, uint64](member))
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryHistoryResponse{History: history, Pagination: page}, nil
}

// Backup returns the commitments of a member of a vault.
func (s queryServer) Backup(
	ctx context.Context,
	req *types.QueryBackupRequest,
) (*types.QueryBackupResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	pubKey, err := types.ParseVault(req.Vault)
	if err != nil {
		return nil, statusOf(err)
	}
	member, err := s.k.accounts.AddressCodec().StringToBytes(req.Member)
	if err != nil {
		return nil, invalid(err)
	}
	vault, backup, err := s.k.backup(ctx, pubKey, req.Epoch, member)
	if err != nil {
		return nil, missing(err, "%s has published no backup of vault %s", req.Member, req.Vault)
	}
	res := &types.QueryBackupResponse{Latest: backup.Commitments()[0].Info()}
	if backup.Latest != nil {
		first := backup.First.Info()
		res.First = &first
	}
	if res.Heartbeat, err = s.k.knownHeartbeat(ctx, vault.Epoch, member); err != nil {
		return nil, statusOf(err)
	}
	return res, nil
}

// Proof returns what state keeps of the proof of a member of a vault.
func (s queryServer) Proof(
	ctx context.Context,
	req *types.QueryProofRequest,
) (*types.QueryProofResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	pubKey, err := types.ParseVault(req.Vault)
	if err != nil {
		return nil, statusOf(err)
	}
	member, err := s.k.accounts.AddressCodec().StringToBytes(req.Member)
	if err != nil {
		return nil, invalid(err)
	}
	vault, err := s.k.vaultIn(ctx, pubKey, req.Epoch)
	if err != nil {
		return nil, statusOf(err)
	}
	proof, err := s.k.Proofs.Get(ctx, collections.Join(vault.Epoch, member))
	if err != nil {
		return nil, missing(err, "state keeps no proof of %s for vault %s", req.Member, req.Vault)
	}
	info, err := s.k.proofInfo(member, proof)
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryProofResponse{Proof: info}, nil
}

// Proofs returns the public shares of a vault's members and what state keeps of their proofs.
func (s queryServer) Proofs(
	ctx context.Context,
	req *types.QueryProofsRequest,
) (*types.QueryProofsResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	pubKey, err := types.ParseVault(req.Vault)
	if err != nil {
		return nil, statusOf(err)
	}
	vault, err := s.k.vaultIn(ctx, pubKey, req.Epoch)
	if err != nil {
		return nil, statusOf(err)
	}
	shares, err := s.k.publicShares(ctx, vault)
	if err != nil {
		return nil, missing(err, "state keeps no public shares of vault %s", req.Vault)
	}
	res := &types.QueryProofsResponse{
		Vault:         req.Vault,
		PubKeyEd25519: hex.EncodeToString(vault.PubKeyEd25519),
		KeygenId:      vault.Epoch,
		Threshold:     vault.Threshold,
	}
	if res.Secp256k1, err = s.k.shareInfos(shares.Secp256k1); err != nil {
		return nil, statusOf(err)
	}
	if res.Ed25519, err = s.k.shareInfos(shares.Ed25519); err != nil {
		return nil, statusOf(err)
	}
	for _, m := range vault.Members {
		proof, err := s.k.proofOf(ctx, vault.Epoch, m.Address())
		if err != nil {
			return nil, statusOf(err)
		}
		info, err := s.k.proofInfo(m.Address(), proof)
		if err != nil {
			return nil, statusOf(err)
		}
		res.Proofs = append(res.Proofs, info)
	}
	return res, nil
}

// Group returns the group part of a split vault.
func (s queryServer) Group(
	ctx context.Context,
	req *types.QueryGroupRequest,
) (*types.QueryGroupResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	pubKey, err := types.ParseVault(req.Vault)
	if err != nil {
		return nil, statusOf(err)
	}
	vault, err := s.k.vaultIn(ctx, pubKey, req.Epoch)
	if err != nil {
		return nil, statusOf(err)
	}
	key := collections.Join(vault.Epoch, vault.SharesHash)
	record, err := s.k.Groups.Get(ctx, key)
	if err != nil {
		return nil, missing(err, "state keeps no group part of vault %s", req.Vault)
	}
	parameters, err := s.k.GroupParameters.Get(ctx, key)
	if err != nil {
		return nil, statusOf(err)
	}
	group, err := record.Part(parameters)
	if err != nil {
		return nil, statusOf(err)
	}
	members := make([]string, len(vault.Members))
	for i, m := range vault.Members {
		members[i] = hex.EncodeToString(m.PubKey)
	}
	return &types.QueryGroupResponse{
		Members:       members,
		Vault:         req.Vault,
		PubKeyEd25519: hex.EncodeToString(vault.PubKeyEd25519),
		Epoch:         vault.Epoch,
		GroupHash:     hex.EncodeToString(vault.SharesHash),
		Group:         group,
		Sha256:        hex.EncodeToString(record.Sha256),
		Height:        record.Height,
	}, nil
}

// Envelope returns an envelope of a member of a vault from the node's archive. It is no longer than
// its commitment says, and has that hash.
func (s queryServer) Envelope(
	ctx context.Context,
	req *types.QueryEnvelopeRequest,
) (*types.QueryEnvelopeResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	pubKey, err := types.ParseVault(req.Vault)
	if err != nil {
		return nil, statusOf(err)
	}
	member, err := s.k.accounts.AddressCodec().StringToBytes(req.Member)
	if err != nil {
		return nil, invalid(err)
	}
	commitment, err := s.k.commitmentOf(ctx, pubKey, req.Epoch, member, req.Sha256)
	switch {
	case err != nil:
		return nil, statusOf(err)
	case commitment.IsHeld():
		return nil, statusOf(types.ErrHeldByMembers.Wrap("no node has it: ask a member"))
	case s.envelopes == nil:
		return nil, statusOf(types.ErrNotArchived.Wrap("this node keeps no archive"))
	}
	envelope, err := s.envelopes.Envelope(commitment)
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryEnvelopeResponse{Envelope: envelope, Commitment: commitment.Info()}, nil
}

// Coverage tells who has published, of one vault or of all that are not retired, those that are
// active first.
func (s queryServer) Coverage(
	ctx context.Context,
	req *types.QueryCoverageRequest,
) (*types.QueryCoverageResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	var pubKeys [][]byte
	if req.Vault == "" {
		live, err := s.k.live(ctx)
		if err != nil {
			return nil, statusOf(err)
		}
		for _, v := range live.Vaults {
			pubKeys = append(pubKeys, v.PubKey)
		}
	} else {
		pubKey, err := types.ParseVault(req.Vault)
		if err != nil {
			return nil, statusOf(err)
		}
		pubKeys = [][]byte{pubKey}
	}
	res := &types.QueryCoverageResponse{}
	for _, pubKey := range pubKeys {
		vault, err := s.k.vault(ctx, pubKey)
		if err != nil {
			return nil, statusOf(err)
		}
		coverage, err := s.k.coverage(ctx, pubKey, vault)
		if err != nil {
			return nil, statusOf(err)
		}
		res.Vaults = append(res.Vaults, coverage)
	}
	slices.SortStableFunc(
		res.Vaults,
		func(a, b types.VaultCoverage) int { return int(a.Status) - int(b.Status) },
	)
	return res, nil
}

// Beacons returns what a heartbeat may sign now.
func (s queryServer) Beacons(
	ctx context.Context,
	req *types.QueryBeaconsRequest,
) (*types.QueryBeaconsResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	beacons, err := s.k.beacons(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryBeaconsResponse{Beacons: beacons.List}, nil
}

// Pause tells whether the module is paused.
func (s queryServer) Pause(
	ctx context.Context,
	req *types.QueryPauseRequest,
) (*types.QueryPauseResponse, error) {
	if req == nil {
		return nil, errEmptyRequest
	}
	pause, err := s.k.pause(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	return &types.QueryPauseResponse{Pause: pause}, nil
}
