package processes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// StartSigners makes the signers' homes, registers them by their validators' operators, and starts
// them. The words of each are in its MnemonicFile, as its operator has them on paper.
func (n *Network) StartSigners(ctx context.Context) error {
	sets := fixture.MorePreParams(len(n.Members) * n.PreParams)
	var group errgroup.Group
	for i, m := range n.Members {
		reg, err := n.InitSigner(ctx, m)
		if err != nil {
			return err
		}
		keys, err := homekeys.Read(home.MnemonicPath(m.SignerHome))
		if err != nil {
			return err
		}
		store := tss.NewPreParams(home.PreParamsDir(m.SignerHome), keys, zerolog.Nop())
		for j := i; j < len(sets); j += len(n.Members) {
			if err := store.Import(sets[j].Data); err != nil {
				return err
			}
		}
		m.Address = reg.Address
		m.peer = fmt.Sprintf(
			"/ip4/%s/p2p/%s", strings.Replace(m.signer, ":", "/tcp/", 1), reg.PeerID,
		)
		words, err := os.ReadFile(home.MnemonicPath(m.SignerHome))
		if err != nil {
			return err
		}
		if err := os.WriteFile(m.MnemonicFile, words, 0o600); err != nil {
			return err
		}
		group.Go(func() error {
			return n.Send(ctx, m, "tx", "tssbackup", "register-signer", reg.PubKey, reg.Signature,
				reg.RecipientKey, fmt.Sprint(reg.RecipientIndex), reg.Possession)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, m := range n.Members {
		if err := n.Configure(m); err != nil {
			return err
		}
		if err := n.StartSigner(m); err != nil {
			return err
		}
	}
	for _, m := range n.Members {
		if err := n.WaitSigner(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// InitSigner makes the home of a member's signer, with more arguments of bifrost init.
func (n *Network) InitSigner(
	ctx context.Context, m *Member, args ...string,
) (registration.Request, error) {
	var reg registration.Request
	out, err := Command(ctx, n.Path("bifrost"), append([]string{
		"init", "--home", m.SignerHome, "--output", "json", "--chain-id", n.ChainID,
		"--operator", m.Operator, "--node", m.RPC, "--metrics-listen", m.Metrics,
		"--p2p-listen", "/ip4/" + strings.Replace(m.signer, ":", "/tcp/", 1),
	}, args...)...)
	if err != nil {
		return reg, err
	}
	return reg, json.Unmarshal(out, &reg)
}

// OthersOf are the nodes of the other members.
func (n *Network) OthersOf(m *Member) []string {
	var nodes []string
	for _, other := range n.Members {
		if other != m {
			nodes = append(nodes, other.RPC)
		}
	}
	return nodes
}

// Configure edits the signer's configuration as an operator does who has learned where the other
// signers and their validators' nodes are. Making spare pre-parameters would take the cores that
// the ceremonies need.
func (n *Network) Configure(m *Member) error {
	var others []string
	for _, other := range n.Members {
		if other != m {
			others = append(others, other.peer)
		}
	}
	peers, err := json.Marshal(others)
	if err != nil {
		return err
	}
	witnesses, err := json.Marshal(n.OthersOf(m))
	if err != nil {
		return err
	}
	path := home.ConfigPath(m.SignerHome)
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	where := [][2]string{{"\npeers = []\n", "\npeers = " + string(peers) + "\n"}}
	if n.Claims {
		at, _, _ := strings.Cut(m.peer, "/p2p/")
		where = [][2]string{
			{"\npublic = []\n", fmt.Sprintf("\npublic = [%q]\n", at)},
			{"\nnetworks = []\n", "\nnetworks = [\"127.0.0.0/8\"]\n"},
		}
	}
	for _, edit := range append(where, [][2]string{
		{"\nwitnesses = []\n", "\nwitnesses = " + string(witnesses) + "\n"},
		{"\npreparams = 2\n", "\npreparams = 0\n"},
		{"\ndir = \"\"\n", "\ndir = \"" + m.Backups + "\"\n"},
	}...) {
		if !strings.Contains(string(config), edit[0]) {
			return fmt.Errorf("%s has no line %q", path, strings.TrimSpace(edit[0]))
		}
		config = []byte(strings.Replace(string(config), edit[0], edit[1], 1))
	}
	if n.Tables != nil {
		config = append(config, n.Tables(m)...)
	}
	return os.WriteFile(path, config, 0o600)
}

// StartSigner starts a member's signer with its home.
func (n *Network) StartSigner(m *Member) error { return n.StartSignerAs(m, n.Path("bifrost")) }

// StartSignerAs starts another program with a signer's home and these settings of the environment.
func (n *Network) StartSignerAs(m *Member, bin string, env ...string) error {
	name := m.SignerName()
	return n.Start(name, n.Log(name), env, bin, "start", "--home", m.SignerHome)
}

// WaitSigner waits until the signer runs and is the one that the chain knows.
func (n *Network) WaitSigner(ctx context.Context, m *Member) error {
	what := m.SignerName() + " to run"
	return Await(ctx, time.Minute, what, func(ctx context.Context) (bool, error) {
		if err := n.Alive(m.SignerName()); err != nil {
			return false, err
		}
		var status struct {
			State string `json:"state"`
		}
		out, err := Command(
			ctx, n.Path("bifrost"), "status", "--home", m.SignerHome, "--output", "json",
		)
		if jsonErr := json.Unmarshal(out, &status); jsonErr != nil {
			return false, errors.Join(err, jsonErr)
		}
		return status.State == "ready", err
	})
}

// PromoteSigner waits until the signer of a member says that another instance acts, as after its
// home was lost, and has it act in place of that.
func (n *Network) PromoteSigner(ctx context.Context, m *Member) error {
	var expect uint64
	what := m.SignerName() + " to be fenced"
	err := Await(ctx, time.Minute, what, func(ctx context.Context) (bool, error) {
		if err := n.Alive(m.SignerName()); err != nil {
			return false, err
		}
		t, err := n.Term(ctx, m.SignerHome)
		expect = t.Term
		return t.State == term.Fenced, err
	})
	if err != nil {
		return err
	}
	_, err = Command(ctx, n.Path("bifrost"), "promote", "--home", m.SignerHome,
		"--expect", fmt.Sprint(expect))
	return err
}

// Term is what the bifrost that runs in a home says of its signer's term.
func (n *Network) Term(ctx context.Context, home string) (term.Status, error) {
	var status struct {
		Term term.Status `json:"term"`
	}
	out, err := Command(ctx, n.Path("bifrost"), "status", "--home", home, "--output", "json")
	if json.Unmarshal(out, &status) == nil && status.Term.State != "" {
		return status.Term, nil // it has a problem
	}
	return status.Term, err
}

// StartChurn has governance open a churn of these members, or of all without any: a proposal, a
// vote of each validator. It returns when both are in blocks; the churn opens at the end of the
// voting period.
func (n *Network) StartChurn(ctx context.Context, of ...*Member) error {
	return n.propose(ctx, of, "start-churn", "--title", "Churn", "--summary", "A new vault")
}

// StartReshare has governance open a reshare of a vault to these members, as StartChurn does.
func (n *Network) StartReshare(ctx context.Context, vault string, to ...*Member) error {
	return n.propose(
		ctx, to, "start-reshare", vault, "--title", "Reshare", "--summary", "Its next members")
}

func (n *Network) propose(ctx context.Context, of []*Member, args ...string) error {
	n.proposals++
	args = append([]string{"tx", "tssbackup"}, append(args, "--deposit", "10000000stake")...)
	for _, m := range of {
		args = append(args, "--operators", m.Operator)
	}
	if err := n.Send(ctx, n.Members[0], args...); err != nil {
		return err
	}
	var group errgroup.Group
	for _, m := range n.Members {
		group.Go(func() error {
			return n.Send(ctx, m, "tx", "gov", "vote", fmt.Sprint(n.proposals), "yes")
		})
	}
	return group.Wait()
}
