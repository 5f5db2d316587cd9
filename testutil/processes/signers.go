package processes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/freeport"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// statusPatience is for a signer that starts beside a node that may have to catch up.
const statusPatience = 2 * time.Minute

// StartSigners makes the signers' homes, registers them by their validators' operators, and starts
// them. The words of each are in its MnemonicFile, as its operator has them on paper.
func (n *Network) StartSigners(ctx context.Context) error {
	var group errgroup.Group
	for _, m := range n.Members {
		reg, err := n.InitSigner(ctx, m)
		if err != nil {
			return err
		}
		m.Address, m.peer = reg.Address, m.listens()+"/p2p/"+reg.PeerID
		if err := n.GivePreParams(m, n.PreParams); err != nil {
			return err
		}
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
		"--p2p-listen", m.listens(),
	}, args...)...)
	if err != nil {
		return reg, err
	}
	return reg, json.Unmarshal(out, &reg)
}

// listens is the multiaddr on which the signer listens.
func (m *Member) listens() string { return "/ip4/" + strings.Replace(m.signer, ":", "/tcp/", 1) }

// GivePreParams puts so many sets of pre-parameters, which nobody else has, into a signer's home.
func (n *Network) GivePreParams(m *Member, count int) error {
	keys, err := homekeys.Read(home.MnemonicPath(m.SignerHome))
	if err != nil {
		return err
	}
	store := tss.NewPreParams(home.PreParamsDir(m.SignerHome), keys, zerolog.Nop())
	sets := fixture.MorePreParams(n.preParams + count)[n.preParams:]
	n.preParams += count
	for _, set := range sets {
		if err := store.Import(set.Data); err != nil {
			return err
		}
	}
	return nil
}

// OthersOf are the nodes of the other members.
func (n *Network) OthersOf(m *Member) []string {
	var nodes []string
	for _, other := range n.Members {
		if m == nil || other.Index != m.Index {
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
		if other.Index != m.Index {
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
		where = [][2]string{
			{"\npublic = []\n", fmt.Sprintf("\npublic = [%q]\n", m.listens())},
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
	return n.awaitStatus(ctx, m, "to run", func(st service.Status) bool {
		return st.State == registration.Ready
	})
}

// SecondHost is a member's signer on another host, which knows the node of another member: a home
// of the same words, with addresses and backups of its own. Nothing runs in it yet.
func (n *Network) SecondHost(ctx context.Context, m *Member) (*Member, error) {
	ports, err := freeport.Addrs(2)
	if err != nil {
		return nil, err
	}
	second := *m
	second.host = "-second"
	second.SignerHome += second.host
	second.Backups += second.host
	second.RPC, second.signer, second.Metrics = n.OthersOf(m)[0], ports[0], ports[1]
	reg, err := n.InitSigner(ctx, &second, "--mnemonic-file", m.MnemonicFile)
	if err != nil {
		return nil, err
	}
	second.peer = second.listens() + "/p2p/" + reg.PeerID
	return &second, n.Configure(&second)
}

// StartStandby starts a signer that stands by, and follows backups in a folder or a sink.
func (n *Network) StartStandby(m *Member, from string) error {
	name := m.SignerName()
	return n.Start(name, n.Log(name), nil, n.Path("bifrost"), "standby", "--home", m.SignerHome,
		"--from", from)
}

// WaitStandby waits until a signer stands by and has the backups of the one that acts.
func (n *Network) WaitStandby(ctx context.Context, m *Member) error {
	return n.awaitStatus(ctx, m, "to stand by", standsBy)
}

func standsBy(st service.Status) bool {
	return st.State == service.StateStandby && st.Term.Term > 0 && len(st.Problems) == 0 &&
		st.Standby != nil && st.Standby.Manifest != ""
}

// PromoteSigner waits until the signer of a member says that another instance acts, as after its
// home was lost, or until it stands by, and has it act in place of that.
func (n *Network) PromoteSigner(ctx context.Context, m *Member) error {
	var expect uint64
	err := n.awaitStatus(ctx, m, "to be fenced or to stand by", func(st service.Status) bool {
		expect = st.Term.Term
		return st.Term.State == term.Fenced || standsBy(st)
	})
	if err != nil {
		return err
	}
	_, err = Command(ctx, n.Path("bifrost"), "promote", "--home", m.SignerHome,
		"--expect", fmt.Sprint(expect))
	return err
}

func (n *Network) awaitStatus(
	ctx context.Context, m *Member, what string, is func(service.Status) bool,
) error {
	what = m.SignerName() + " " + what
	return Await(ctx, statusPatience, what, func(ctx context.Context) (bool, error) {
		if err := n.Alive(m.SignerName()); err != nil {
			return false, err
		}
		st, err := n.Status(ctx, m.SignerHome)
		return is(st), err
	})
}

// Status is what the bifrost that runs in a home says of itself.
func (n *Network) Status(ctx context.Context, home string) (st service.Status, err error) {
	out, err := Command(ctx, n.Path("bifrost"), "status", "--home", home, "--output", "json")
	if json.Unmarshal(out, &st) == nil && st.Term.State != "" {
		return st, nil // it has a problem
	}
	return st, err
}

// StartChurn has governance open a churn of these members, or of all without any: a proposal, a
// vote of four validators. It returns when both are in blocks; the churn opens at the end of the
// voting period.
func (n *Network) StartChurn(ctx context.Context, of ...*Member) error {
	return n.propose(ctx, of, "start-churn", "--title", "Churn", "--summary", "A new vault")
}

// StartReshare has governance open a reshare of a vault to these members, as StartChurn does.
func (n *Network) StartReshare(ctx context.Context, vault string, to ...*Member) error {
	return n.propose(
		ctx, to, "start-reshare", vault, "--title", "Reshare", "--summary", "Its next members")
}

// voters is how many validators vote: a quorum also of eleven. More processes at once would be too
// late for the voting period.
const voters = 4

// proposals is how often something is proposed, at most.
const proposals = 3

// propose has governance do what these arguments of the daemon propose. Votes that come after the
// end of the period, as on a busy machine, may leave a proposal without a quorum: then it is made
// again.
func (n *Network) propose(ctx context.Context, of []*Member, args ...string) error {
	args = append([]string{"tx", "tssbackup"}, append(args, "--deposit", "10000000stake")...)
	for _, m := range of {
		args = append(args, "--operators", m.Operator)
	}
	var late error
	for range proposals {
		n.proposals++
		if err := n.Send(ctx, n.Members[0], args...); err != nil {
			return err
		}
		votes := make([]error, voters)
		var group sync.WaitGroup
		for i, m := range n.Members[:voters] {
			group.Go(func() {
				votes[i] = n.Send(ctx, m, "tx", "gov", "vote", fmt.Sprint(n.proposals), "yes")
			})
		}
		group.Wait()
		if late = errors.Join(votes...); late == nil {
			return nil
		}
		status, err := n.decided(ctx, n.proposals)
		if err != nil || status == "PROPOSAL_STATUS_PASSED" {
			return err
		}
		if status != "PROPOSAL_STATUS_REJECTED" {
			return fmt.Errorf("proposal %d: %s: %w", n.proposals, status, late)
		}
	}
	return fmt.Errorf("no quorum for %d proposals: %w", proposals, late)
}

// decided waits until a proposal is, and returns its status then, as gov/v1 names it.
func (n *Network) decided(ctx context.Context, id int) (string, error) {
	var res struct {
		Proposal struct {
			Status string `json:"status"`
		} `json:"proposal"`
	}
	err := Await(ctx, time.Minute, fmt.Sprintf("proposal %d to be decided", id),
		func(ctx context.Context) (bool, error) {
			body, err := n.getAny(ctx, fmt.Sprintf("/cosmos/gov/v1/proposals/%d", id))
			if err == nil {
				err = json.Unmarshal(body, &res)
			}
			return err == nil && res.Proposal.Status != "PROPOSAL_STATUS_VOTING_PERIOD", err
		})
	return res.Proposal.Status, err
}
