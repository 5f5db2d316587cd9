package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/light/provider"
	cmttypes "github.com/cometbft/cometbft/types"
)

// Head verifies a recent header and returns the state before it, to be read with proofs.
func (l *Light) Head(ctx context.Context, now time.Time) (*State, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	asked := l.distinct(l.nodes)
	block, err := l.verify(ctx, 0, now)
	if err != nil {
		return nil, err
	}
	if now.Sub(block.Time) > maxAge {
		if block, err = l.ahead(ctx, block, now); err != nil {
			return nil, err
		}
	}
	if top := l.highest(); top < block.Height {
		l.report(
			"",
			fmt.Errorf(
				"the nodes are at height %d, behind header %d which was verified before",
				top,
				block.Height,
			),
		)
	} else if asked > 1 && l.confirming(block) == 1 {
		l.report(
			"",
			fmt.Errorf(
				"no second node confirms header %d: it rests on the validators' signatures since the trusted header alone",
				block.Height,
			),
		)
	}
	if age := now.Sub(block.Time); age > maxAge {
		l.report(
			"",
			fmt.Errorf(
				"header %d, the latest, is of %s, %s ago: the chain stands still, or the nodes hide what is newer",
				block.Height,
				block.Time.Format(time.RFC3339),
				age.Round(time.Minute),
			),
		)
	}
	if err := l.keep(block); err != nil {
		return nil, err
	}
	return newState(block, l.nodes, l.prefix, l.report), nil
}

// keep keeps a verified header for the next time, if it can.
func (l *Light) keep(block *cmttypes.LightBlock) error {
	if l.trust.Store == nil {
		return nil
	}
	data, err := encodeBlock(block)
	if err != nil {
		return err
	}
	if err := l.trust.Store.Save(l.trust.ChainID, data); err != nil {
		l.report("", fmt.Errorf("the verified header is not kept for the next time: %w", err))
	}
	return nil
}

// ahead is for an old header that is the latest which two nodes have: a node that stands still must
// not hide what another one shows to be newer.
func (l *Light) ahead(
	ctx context.Context,
	block *cmttypes.LightBlock,
	now time.Time,
) (*cmttypes.LightBlock, error) {
	all := l.nodes
	var ahead, behind []*source
	for _, n := range all {
		if l.heights[n] > block.Height {
			ahead = append(ahead, n)
		} else {
			behind = append(behind, n)
		}
	}
	if len(ahead) == 0 || len(behind) == 0 {
		return block, nil
	}
	l.nodes = ahead
	newer, err := l.verify(ctx, 0, now)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, ErrAttack):
		return nil, err
	case err != nil:
		l.nodes = behind
		return block, nil
	}
	for _, n := range behind {
		l.report(n.Name(), fmt.Errorf("%w: it stands at height %d", ErrUnreachable, l.heights[n]))
	}
	l.nodes = append(l.nodes, behind...)
	return newer, nil
}

// refresh asks the nodes how far they are, unless they have just been asked.
func (l *Light) refresh(ctx context.Context) error {
	if l.fresh {
		l.fresh = false
		return nil
	}
	clients := make([]*Client, len(l.nodes))
	for i, n := range l.nodes {
		clients[i] = n.Client
	}
	statuses, errs := statusOf(ctx, clients)
	for i, n := range l.nodes {
		if errs[i] == nil {
			l.heights[n] = statuses[i].Height
		}
	}
	return ctx.Err()
}

// verify returns the header of a height, or for 0 the highest one that a second node can witness,
// after verifying it against those that are trusted. A node that turns out to be wrong or of no use
// is reported and left out, and the others go on.
func (l *Light) verify(
	ctx context.Context,
	height int64,
	now time.Time,
) (*cmttypes.LightBlock, error) {
	nodes := slices.Clone(l.nodes)
	var failed, reasons []error
	for round := 0; len(nodes) > 0; {
		target := height
		if target == 0 {
			trusted, _ := l.blocks.LastLightBlockHeight()
			target = max(l.second(nodes), trusted)
		}
		present := l.atLeast(nodes, target)
		for _, n := range present {
			n.forget()
		}
		block, err := l.verifyWith(ctx, present, target, now)
		if err == nil {
			l.settle(nodes, block)
			return block, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var expired light.ErrOldHeaderExpired
		switch {
		case errors.As(err, &expired):
			at := expired.At.Add(-l.trust.Period)
			return nil, l.expired(
				fmt.Errorf("%w: the trusted header is of %s", ErrExpired, at), at, now)
		case errors.Is(err, light.ErrLightClientAttack):
			return nil, fmt.Errorf(
				"%w. The evidence of it was sent to the nodes. Believe none of them before you know more%s",
				ErrAttack,
				quarrel(nodes),
			)
		}
		if height == 0 && round < maxRounds && l.comeDown(present, target) {
			round++
			continue
		}
		blamed := blame(present, target, err)
		for _, n := range blamed {
			reason := n.reason(target, err)
			reasons = append(reasons, reason)
			failed = append(failed, fmt.Errorf("%s: %w", n.Name(), reason))
			l.report(n.Name(), fmt.Errorf("its headers are of no use: %w", reason))
		}
		nodes = slices.DeleteFunc(nodes, func(n *source) bool { return slices.Contains(blamed, n) })
	}
	err := errors.Join(failed...)
	if why := failure(reasons, ErrNoHeader); why != nil {
		err = fmt.Errorf("%w: %w", why, err)
	}
	return nil, err
}

// comeDown notes which nodes have not reached a height that they said they had, as it is with
// several behind one name, and reports whether there are any.
func (l *Light) comeDown(nodes []*source, height int64) bool {
	down := false
	for _, n := range nodes {
		if reached, ok := n.lower(height); ok && l.heights[n] > reached {
			l.heights[n] = reached
			down = true
		}
	}
	trusted, _ := l.blocks.LastLightBlockHeight()
	return down && max(l.second(nodes), trusted) < height
}

// distinct counts nodes without those that are another one's twin.
func (l *Light) distinct(nodes []*source) int {
	count := 0
	for _, n := range nodes {
		if !l.twins[n] {
			count++
		}
	}
	return count
}

// confirming counts the nodes that show this header.
func (l *Light) confirming(block *cmttypes.LightBlock) int {
	var good []*source
	for _, n := range l.nodes {
		if n.confirms(block) {
			good = append(good, n)
		}
	}
	if len(good) == 0 {
		return 0
	}
	return max(1, l.distinct(good))
}

// verifyWith has the first of the nodes show the header and the others witness it.
func (l *Light) verifyWith(
	ctx context.Context,
	nodes []*source,
	height int64,
	now time.Time,
) (*cmttypes.LightBlock, error) {
	var witnesses []provider.Provider
	for _, n := range nodes[1:] {
		witnesses = append(witnesses, n)
	}
	if len(witnesses) == 0 {
		// The light client wants a witness. One node is enough to verify signatures from a trusted
		// header on, and the user was told what that means.
		witnesses = append(witnesses, nodes[0])
	}
	client, err := light.NewClientFromTrustedStore(
		l.trust.ChainID,
		l.trust.Period,
		nodes[0],
		witnesses,
		&l.blocks,
		light.MaxClockDrift(maxClockDrift),
		light.PruningSize(0),
		// Asked whether to forget what was verified, the light client would by default.
		light.ConfirmationFunction(func(string) bool { return false }),
	)
	if err != nil {
		return nil, err
	}
	return client.VerifyLightBlockAtHeight(ctx, height, now)
}

// blame tells which nodes are to be left out after an error: the witnesses that did not confirm the
// header which the first node showed, or else the first node.
func blame(nodes []*source, height int64, err error) []*source {
	if errors.Is(err, light.ErrNoWitnesses) ||
		errors.Is(err, light.ErrFailedHeaderCrossReferencing) {
		nodes[0].mu.Lock()
		first := nodes[0].shown[height]
		nodes[0].mu.Unlock()
		var bad []*source
		for _, n := range nodes[1:] {
			n.mu.Lock()
			if first != nil && !bytes.Equal(n.shown[height], first) {
				bad = append(bad, n)
			}
			n.mu.Unlock()
		}
		if len(bad) > 0 {
			return bad
		}
	}
	return nodes[:1]
}

// settle reports the nodes that contradict a verified header, and puts those that confirm it first.
func (l *Light) settle(nodes []*source, block *cmttypes.LightBlock) {
	var good, rest []*source
	for _, n := range nodes {
		switch {
		case n.contradicts(block):
			l.report(
				n.Name(),
				fmt.Errorf("%w: it shows another header %d", ErrUnverified, block.Height),
			)
		case n.confirms(block):
			good = append(good, n)
		default:
			rest = append(rest, n)
		}
	}
	l.nodes = append(good, rest...)
}

// second is the highest height that a second node has reached, or that of the only node.
func (l *Light) second(nodes []*source) int64 {
	var heights []int64
	for _, n := range nodes {
		heights = append(heights, l.heights[n])
	}
	slices.Sort(heights)
	return heights[max(0, len(heights)-2)]
}

// atLeast are the nodes that have reached a height, or all when none says so.
func (l *Light) atLeast(nodes []*source, height int64) []*source {
	var there []*source
	for _, n := range nodes {
		if l.heights[n] >= height {
			there = append(there, n)
		}
	}
	if len(there) == 0 {
		return nodes
	}
	return there
}

func (l *Light) highest() int64 {
	var top int64
	for _, n := range l.nodes {
		top = max(top, l.heights[n])
	}
	return top
}

func (l *Light) lowest(nodes []*source) int64 {
	lowest := l.heights[nodes[0]]
	for _, n := range nodes[1:] {
		lowest = min(lowest, l.heights[n])
	}
	return lowest
}

// quarrel names the nodes with the last header that each of them showed.
func quarrel(nodes []*source) string {
	var text bytes.Buffer
	for _, n := range nodes {
		n.mu.Lock()
		var top int64
		for height := range n.shown {
			top = max(top, height)
		}
		fmt.Fprintf(&text, "; %s shows %X at %d", n.Name(), n.shown[top], top)
		n.mu.Unlock()
	}
	return text.String()
}
