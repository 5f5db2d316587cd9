package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/internal/webhook"
)

const (
	// notifyLook is the time between two looks at the problems, and pingPeriod between two pings.
	notifyLook = time.Minute
	pingPeriod = 5 * time.Minute
)

// A notifier tells somebody elsewhere of problems: with a request when they are others than were
// told, and by leaving out a ping. It needs nobody who scrapes metrics.
type notifier struct {
	// webhook and ping are URLs, empty for none. They are secrets of whoever listens there.
	webhook, ping string
	problems      func() []string
	signer        string
	log           zerolog.Logger

	// seen are the problems that the look before saw, and told those that were told of, by kinds.
	seen, told []string
	pinged     time.Time
	failed     string
}

// varies is what changes in the text of a problem that stays the same: times, heights, ports.
var varies = regexp.MustCompile(`(\d+h)?(\d+m)?\d+(\.\d+)?(ns|µs|ms|s)\b|\b\d{4,}\b`)

// kinds are problems as they are compared.
func kinds(problems []string) []string {
	all := make([]string, len(problems))
	for i, p := range problems {
		all[i] = varies.ReplaceAllString(p, "#")
	}
	slices.Sort(all)
	return all
}

// notification is what the webhook gets. Chats show its text.
type notification struct {
	Text     string   `json:"text"`
	Signer   string   `json:"signer"`
	Problems []string `json:"problems"`
}

// newNotifier reads the URLs. It is nil when there are none. Its error wraps [home.ErrConfig].
func newNotifier(
	cfg home.Notify, signer string, problems func() []string, log zerolog.Logger,
) (n *notifier, err error) {
	n = &notifier{signer: signer, problems: problems, log: log}
	if n.webhook, err = readURL(cfg.WebhookFile); err != nil {
		return nil, fmt.Errorf("%w: notify.webhook_file: %w", home.ErrConfig, err)
	}
	if n.ping, err = readURL(cfg.PingFile); err != nil {
		return nil, fmt.Errorf("%w: notify.ping_file: %w", home.ErrConfig, err)
	}
	if n.webhook == "" && n.ping == "" {
		return nil, nil
	}
	return n, nil
}

// CheckNotify errs when the URLs cannot be used. Its error wraps [home.ErrConfig].
func CheckNotify(cfg home.Notify) error {
	_, err := newNotifier(cfg, "", nil, zerolog.Nop())
	return err
}

// readURL reads the URL in a file of credentials, unless the name is empty.
func readURL(name string) (address string, err error) {
	if name == "" {
		return "", nil
	}
	err = process.Credentials(name, func(data []byte) error {
		address = string(bytes.TrimSpace(data))
		return webhook.Check(address)
	})
	return address, err
}

// run looks until the context ends.
func (n *notifier) run(ctx context.Context) {
	tick := time.NewTicker(notifyLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			n.look(ctx, now)
		}
	}
}

// look tells what is new. A problem that is gone at the next look is none to be told of; one whose
// text is another one at each look still counts.
func (n *notifier) look(ctx context.Context, now time.Time) {
	problems := n.problems()
	is := kinds(problems)
	others := slices.Equal(is, n.seen) && !slices.Equal(is, n.told) ||
		len(is) == len(n.seen) && len(is) != len(n.told)
	n.seen = is
	var errs []error
	if n.webhook != "" && others {
		err := n.tell(ctx, problems)
		if err == nil {
			n.told = is
		}
		errs = append(errs, err)
	}
	if n.ping != "" && len(problems) == 0 && now.Sub(n.pinged) >= pingPeriod {
		err := webhook.Get(ctx, n.ping)
		if err == nil {
			n.pinged = now
		}
		errs = append(errs, err)
	}
	if ctx.Err() != nil {
		return
	}
	text := ""
	if err := errors.Join(errs...); err != nil {
		text = err.Error()
	}
	if text != n.failed && text != "" {
		n.log.Warn().Str("error", text).Msg("nobody could be notified; trying again")
	}
	n.failed = text
}

func (n *notifier) tell(ctx context.Context, problems []string) error {
	text := fmt.Sprintf("bifrost of %s has no problem any more", n.signer)
	if len(problems) > 0 {
		text = fmt.Sprintf("bifrost of %s has %d problems, the first of which is: %s", n.signer,
			len(problems), problems[0])
	}
	body, err := json.Marshal(notification{text, n.signer, append([]string{}, problems...)})
	if err != nil {
		return err
	}
	return webhook.Post(ctx, n.webhook, nil, body)
}
