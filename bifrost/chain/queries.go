package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	service = "/tssbackup.v1.Query/"

	// pageSize and maxPages bound what a node can make the client read of a list.
	pageSize = 100
	maxPages = 20
)

// Params returns the module's parameters.
func (c *Client) Params(ctx context.Context) (types.Params, error) {
	var res types.QueryParamsResponse
	err := c.query(ctx, service+"Params", &types.QueryParamsRequest{}, &res)
	return res.Params, err
}

// Signer returns the signer that is registered for an operator, or under a signer's address. The
// error is [ErrNotFound] when there is none.
func (c *Client) Signer(ctx context.Context, address string) (types.SignerInfo, error) {
	var res types.QuerySignerResponse
	err := c.query(ctx, service+"Signer", &types.QuerySignerRequest{Address: address}, &res)
	return res.Signer, err
}

// SignerTerm returns the latest claim of a signer, and the block after which it was so. The term is
// 0 before the first. The error is [ErrNotFound] for a signer that was never registered.
func (c *Client) SignerTerm(
	ctx context.Context, address string,
) (types.QuerySignerTermResponse, int64, error) {
	var res types.QuerySignerTermResponse
	req := &types.QuerySignerTermRequest{Address: address}
	height, err := c.queryAsOf(ctx, service+"SignerTerm", req, &res)
	return res, height, err
}

// Keygen returns one keygen with its votes. It has no status, and there is no error, when state
// holds none: it never opened, or failed long ago.
func (c *Client) Keygen(ctx context.Context, id uint64) (vault.Keygen, error) {
	var res types.QueryKeygenResponse
	height, err := c.queryAsOf(ctx, service+"Keygen", &types.QueryKeygenRequest{Id: id}, &res)
	if errors.Is(err, ErrNotFound) {
		return vault.Keygen{}, nil
	}
	if err != nil {
		return vault.Keygen{}, err
	}
	k, err := vault.KeygenFromInfo(res.Keygen)
	k.AsOf = height
	return k, malformed(err)
}

// OpenKeygens returns the keygens on which members may vote now.
func (c *Client) OpenKeygens(ctx context.Context) ([]vault.Keygen, error) {
	infos, err := pages(
		func(page *query.PageRequest) ([]types.KeygenInfo, *query.PageResponse, error) {
			var res types.QueryKeygensResponse
			req := &types.QueryKeygensRequest{
				Status:     types.KeygenStatus_KEYGEN_STATUS_OPEN,
				Pagination: page,
			}
			err := c.query(ctx, service+"Keygens", req, &res)
			return res.Keygens, res.Pagination, err
		},
	)
	if err != nil {
		return nil, err
	}
	return decodeAll(infos, vault.KeygenFromInfo)
}

// Churns returns the latest churns, the newest first, at most limit of them.
func (c *Client) Churns(ctx context.Context, limit uint64) ([]types.Churn, error) {
	var res types.QueryChurnsResponse
	req := &types.QueryChurnsRequest{Pagination: &query.PageRequest{Limit: limit, Reverse: true}}
	err := c.query(ctx, service+"Churns", req, &res)
	return res.Churns, err
}

// Vault returns one vault by its name, retired ones included, or [ErrNotFound].
func (c *Client) Vault(ctx context.Context, name string) (vault.Vault, error) {
	var res types.QueryVaultResponse
	if err := c.query(
		ctx,
		service+"Vault",
		&types.QueryVaultRequest{Vault: name},
		&res,
	); err != nil {
		return vault.Vault{}, err
	}
	v, err := vault.FromInfo(res.Vault)
	return v, malformed(err)
}

// members are the addresses of a vault's members, as the node shows them.
func (c *Client) members(ctx context.Context, name string) ([]string, error) {
	var res types.QueryVaultResponse
	req := &types.QueryVaultRequest{Vault: name}
	if err := c.query(ctx, service+"Vault", req, &res); err != nil {
		return nil, err
	}
	addresses := make([]string, len(res.Vault.Members))
	for i, m := range res.Vault.Members {
		addresses[i] = m.Address
	}
	return addresses, nil
}

// Vaults returns the active and retiring vaults, those of one member when an address is given.
func (c *Client) Vaults(ctx context.Context, member string) ([]vault.Vault, error) {
	infos, err := pages(
		func(page *query.PageRequest) ([]types.VaultInfo, *query.PageResponse, error) {
			var res types.QueryVaultsResponse
			req := &types.QueryVaultsRequest{Member: member, Pagination: page}
			err := c.query(ctx, service+"Vaults", req, &res)
			return res.Vaults, res.Pagination, err
		},
	)
	if err != nil {
		return nil, err
	}
	return decodeAll(infos, vault.FromInfo)
}

// Backup returns the commitments of a member of a vault, the latest and then the first if that is
// another. There are none, and no error, when state holds none: the member never published, or is
// no member of that vault.
func (c *Client) Backup(ctx context.Context, vault, member string) ([]types.Commitment, error) {
	var res types.QueryBackupResponse
	err := c.query(
		ctx,
		service+"Backup",
		&types.QueryBackupRequest{Vault: vault, Member: member},
		&res,
	)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	infos := []types.CommitmentInfo{res.Latest}
	if res.First != nil {
		infos = append(infos, *res.First)
	}
	return decodeAll(infos, types.CommitmentInfo.Commitment)
}

// Heartbeat returns what state knows of the heartbeats of a member of a vault; nil, and no error,
// when it knows of none or the member never published.
func (c *Client) Heartbeat(
	ctx context.Context, vault, member string,
) (*types.Heartbeat, error) {
	var res types.QueryBackupResponse
	req := &types.QueryBackupRequest{Vault: vault, Member: member}
	err := c.query(ctx, service+"Backup", req, &res)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return res.Heartbeat, err
}

// Beacons returns what a heartbeat may sign now, the latest first: two, one or none.
func (c *Client) Beacons(ctx context.Context) ([]types.Beacon, error) {
	var res types.QueryBeaconsResponse
	err := c.query(ctx, service+"Beacons", &types.QueryBeaconsRequest{}, &res)
	return res.Beacons, err
}

// Proof returns what state keeps of the proof of a member of a vault. It is without a stored form
// while none was accepted, and without a recipient key, and no error, when state keeps nothing and
// takes none.
func (c *Client) Proof(ctx context.Context, name, member string) (types.Proof, error) {
	var res types.QueryProofResponse
	err := c.query(
		ctx,
		service+"Proof",
		&types.QueryProofRequest{Vault: name, Member: member},
		&res,
	)
	if errors.Is(err, ErrNotFound) {
		return types.Proof{}, nil
	}
	if err != nil {
		return types.Proof{}, err
	}
	proof, err := vault.ProofFromInfo(res.Proof)
	return proof, malformed(err)
}

// Coverage tells who has published, of one vault or, with an empty name, of all that are not
// retired. It is one answer of one height.
func (c *Client) Coverage(ctx context.Context, vault string) ([]types.VaultCoverage, error) {
	var res types.QueryCoverageResponse
	err := c.query(ctx, service+"Coverage", &types.QueryCoverageRequest{Vault: vault}, &res)
	return res.Vaults, err
}

// Account returns the number and the next sequence of an account, or [ErrNotFound].
func (c *Client) Account(ctx context.Context, address string) (number, sequence uint64, err error) {
	// The two messages are written out because x/auth's types bring a whole server with them.
	req := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), address)
	value, err := c.abciQuery(ctx, "/cosmos.auth.v1beta1.Query/AccountInfo", req)
	if err != nil {
		return 0, 0, err
	}
	number, sequence, ok := parseAccountInfo(value)
	if !ok {
		return 0, 0, fmt.Errorf("%w: malformed answer about account %s", ErrUnreachable, address)
	}
	return number, sequence, nil
}

// parseAccountInfo reads fields 3 (account number) and 4 (sequence) of the account in field 1 of
// cosmos.auth.v1beta1.QueryAccountInfoResponse.
func parseAccountInfo(value []byte) (number, sequence uint64, ok bool) {
	var info []byte
	ok = fields(value, func(num protowire.Number, typ protowire.Type, field []byte) bool {
		if num == 1 && typ == protowire.BytesType {
			var n int
			info, n = protowire.ConsumeBytes(field)
			return n >= 0
		}
		return true
	})
	if !ok || info == nil {
		return 0, 0, false
	}
	ok = fields(info, func(num protowire.Number, typ protowire.Type, field []byte) bool {
		if (num != 3 && num != 4) || typ != protowire.VarintType {
			return true
		}
		v, n := protowire.ConsumeVarint(field)
		if num == 3 {
			number = v
		} else {
			sequence = v
		}
		return n >= 0
	})
	return number, sequence, ok
}

// fields calls each with every field of a message, and reports whether the message is well-formed.
func fields(msg []byte, each func(protowire.Number, protowire.Type, []byte) bool) bool {
	for len(msg) > 0 {
		num, typ, tag := protowire.ConsumeTag(msg)
		if tag < 0 {
			return false
		}
		size := protowire.ConsumeFieldValue(num, typ, msg[tag:])
		if size < 0 || !each(num, typ, msg[tag:tag+size]) {
			return false
		}
		msg = msg[tag+size:]
	}
	return true
}

// decodeAll decodes what a list shows.
func decodeAll[Info, T any](infos []Info, decode func(Info) (T, error)) ([]T, error) {
	all := make([]T, len(infos))
	for i, info := range infos {
		var err error
		if all[i], err = decode(info); err != nil {
			return nil, malformed(err)
		}
	}
	return all, nil
}

// malformed is the error of an answer that is not what the module shows.
func malformed(err error) error {
	if err != nil {
		err = fmt.Errorf("%w: malformed answer: %w", ErrUnreachable, err)
	}
	return err
}

// pages reads a list to its end.
func pages[T any](next func(*query.PageRequest) ([]T, *query.PageResponse, error)) ([]T, error) {
	var all []T
	page := &query.PageRequest{Limit: pageSize}
	for range maxPages {
		items, res, err := next(page)
		if err != nil {
			return nil, err
		}
		if len(items) > pageSize {
			return nil, fmt.Errorf(
				"%w: %d items in a page of %d",
				ErrUnreachable,
				len(items),
				pageSize,
			)
		}
		all = append(all, items...)
		if res == nil || len(res.NextKey) == 0 {
			return all, nil
		}
		page.Key = res.NextKey
	}
	return nil, fmt.Errorf("%w: a list does not end after %d pages", ErrUnreachable, maxPages)
}
