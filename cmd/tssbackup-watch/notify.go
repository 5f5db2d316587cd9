package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tssbackup/tssbackup/internal/webhook"
)

const (
	// minSecret is how many bytes the secret has at least.
	minSecret = 24
	// keepNotes is how many notes wait for a receiver that does not take them; older ones are
	// dropped.
	keepNotes = 1000
	// firstRetry and lastRetry are the times between tries, each twice as long as the one before.
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// The kinds of problems.
const (
	problemBelow   = "vault_below_threshold"
	problemMissing = "backup_missing"
	problemKeygen  = "keygen_failed"
	problemSitsOut = "sits_out"
	problemStill   = "chain_stands_still"
)

// problem is what somebody is told of.
type problem struct {
	// Key names the problem as long as it is the same.
	Key  string `json:"key"`
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// note is what is posted. Chats show its text.
type note struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	ChainID string    `json:"chain_id"`
	Height  int64     `json:"height"`
	Text    string    `json:"text"`
	// Raised are new, and Resolved are no more.
	Raised   []problem `json:"raised"`
	Resolved []problem `json:"resolved"`
}

// problems are those that a report has, by their keys.
func (r *report) problems(now time.Time) map[string]problem {
	all := map[string]problem{}
	add := func(kind, key, text string) {
		key = kind + "/" + key
		all[key] = problem{key, kind, text}
	}
	for i := range r.Vaults {
		v := &r.Vaults[i]
		name := fmt.Sprintf("%s/%d", v.Vault, v.Epoch)
		if v.Level == levelLost {
			add(problemBelow, name, fmt.Sprintf("Vault %s: %s", short(v.Vault), v.Verdict))
		}
		for _, m := range v.Members {
			if m.Missing != nil {
				add(problemMissing, name+"/"+m.Address, fmt.Sprintf("Vault %s: the backup of %s is missing",
					short(v.Vault), inChat(called(m.Moniker, m.Operator, m.Address))))
			}
		}
	}
	for _, c := range r.Churns {
		for _, k := range c.Keygens {
			if k.Status == "failed" {
				add(problemKeygen, strconv.FormatUint(k.ID, 10),
					fmt.Sprintf("Keygen %d of churn %d has failed", k.ID, c.ID))
			}
		}
	}
	for _, s := range r.SitOut {
		add(problemSitsOut, s.Operator, fmt.Sprintf("%s sits out until block %s",
			inChat(called(s.Moniker, s.Operator)), number(s.Until)))
	}
	// What keeps the page from anything newer is told like a chain that makes none: whoever is
	// told of problems must not take silence for peace.
	switch {
	case r.State == stateStill:
		add(problemStill, "", "The chain stands still, or the nodes hide what is newer")
	case r.State == stateStale && now.Sub(r.Verified.BlockTime) > stillAfter:
		add(problemStill, "", "Nothing newer could be verified: "+r.Failure)
	}
	return all
}

// markup is what chats make mentions and links of.
var markup = strings.NewReplacer(
	"<", "‹", ">", "›", "[", "(", "]", ")", "@", "(at)", "://", ": //",
)

// inChat is a name as a chat shows it: anybody calls a validator anything, and must neither call
// everyone nor put a link before those who look for help.
func inChat(name string) string { return markup.Replace(name) }

// notifier tells others of problems when they come and when they go. What is to be told is on the
// disk until it is taken.
type notifier struct {
	db      *bbolt.DB
	secret  []byte
	targets []*target
	log     *log
}

// target is a receiver.
type target struct {
	url    string
	bucket []byte
	wake   chan struct{}
}

var (
	notifyBucket = []byte("notify")
	toldKey      = []byte("told")
)

// newNotifier errs when a URL or the secret is none.
func newNotifier(db *bbolt.DB, urls []string, secret []byte, logger *log) (*notifier, error) {
	if text, ok := strings.CutPrefix(string(secret), "whsec_"); ok {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("the secret after whsec_ is not base64")
		}
		secret = raw
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("the secret has %d bytes, and must have %d: "+
			"head -c 32 /dev/urandom | base64 makes one", len(secret), minSecret)
	}
	n := &notifier{db: db, secret: bytes.Clone(secret), log: logger}
	for _, address := range urls {
		if err := webhook.Check(address); err != nil {
			return nil, fmt.Errorf("what is to be notified: %w", err)
		}
		sum := sha256.Sum256([]byte(address))
		n.targets = append(n.targets, &target{
			url: address, bucket: sum[:], wake: make(chan struct{}, 1),
		})
	}
	return n, db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(notifyBucket)
		for _, t := range n.targets {
			if err == nil {
				_, err = b.CreateBucketIfNotExists(t.bucket)
			}
		}
		return err
	})
}

// look takes a report in, and puts down what is new.
func (n *notifier) look(r *report, now time.Time) error {
	if r.Verified == nil {
		return nil
	}
	present := r.problems(now)
	told := map[string]problem{}
	key := append(slices.Clone(toldKey), r.ChainID...)
	waiting := false
	err := n.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(notifyBucket)
		if data := b.Get(key); data != nil {
			if err := json.Unmarshal(data, &told); err != nil {
				return err
			}
		}
		what := note{
			ID: "msg_" + rand.Text(), At: now.UTC(), ChainID: r.ChainID, Height: r.Verified.Height,
			Raised: []problem{}, Resolved: []problem{},
		}
		for key, p := range present {
			if _, ok := told[key]; !ok {
				what.Raised = append(what.Raised, p)
			}
		}
		for key, p := range told {
			// A keygen that has failed does not get better, it is forgotten.
			if _, ok := present[key]; !ok && p.Kind != problemKeygen {
				what.Resolved = append(what.Resolved, p)
			}
		}
		if len(what.Raised)+len(what.Resolved) == 0 {
			return nil
		}
		byKey := func(a, b problem) int { return strings.Compare(a.Key, b.Key) }
		slices.SortFunc(what.Raised, byKey)
		slices.SortFunc(what.Resolved, byKey)
		what.Text = what.text()
		waiting = true
		for _, t := range n.targets {
			if err := enqueue(b.Bucket(t.bucket), what); err != nil {
				return err
			}
		}
		return put(b, key, present)
	})
	if waiting && err == nil {
		for _, t := range n.targets {
			select {
			case t.wake <- struct{}{}:
			default:
			}
		}
	}
	return err
}

// text is the note in a line.
func (n *note) text() string {
	var parts []string
	for _, p := range n.Raised {
		parts = append(parts, p.Text)
	}
	for _, p := range n.Resolved {
		parts = append(parts, "Over: "+p.Text)
	}
	const few = 5
	if len(parts) > few {
		parts = append(parts[:few], fmt.Sprintf("and %d more", len(parts)-few))
	}
	return n.ChainID + ": " + strings.Join(parts, "; ")
}

func enqueue(b *bbolt.Bucket, what note) error {
	id, err := b.NextSequence()
	if err != nil {
		return err
	}
	if id > keepNotes {
		if err := b.Delete(binary.BigEndian.AppendUint64(nil, id-keepNotes)); err != nil {
			return err
		}
	}
	return put(b, binary.BigEndian.AppendUint64(nil, id), what)
}

// run delivers to one receiver until the context ends.
func (n *notifier) run(ctx context.Context, t *target) {
	wait := time.Duration(0)
	for ctx.Err() == nil {
		key, body := n.oldest(t)
		var retry <-chan time.Time
		if key != nil {
			if err := n.post(ctx, t, body, time.Now()); err != nil {
				wait = min(max(firstRetry, 2*wait), lastRetry)
				n.log.problem("notifying", err.Error())
				retry = time.After(wait)
			} else {
				wait = 0
				n.done(t, key)
				continue
			}
		}
		if retry != nil {
			select {
			case <-ctx.Done():
			case <-retry:
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-t.wake:
		}
	}
}

func (n *notifier) oldest(t *target) (key, body []byte) {
	_ = n.db.View(func(tx *bbolt.Tx) error {
		k, v := tx.Bucket(notifyBucket).Bucket(t.bucket).Cursor().First()
		key, body = bytes.Clone(k), bytes.Clone(v)
		return nil
	})
	return key, body
}

func (n *notifier) done(t *target, key []byte) {
	err := n.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(notifyBucket).Bucket(t.bucket).Delete(key)
	})
	if err != nil {
		n.log.problem("the history", err.Error())
	}
}

// post sends a note, signed as Standard Webhooks has it. No error shows the URL.
func (n *notifier) post(ctx context.Context, t *target, body []byte, now time.Time) error {
	var what note
	if err := json.Unmarshal(body, &what); err != nil {
		return err
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	headers := http.Header{}
	headers.Set("webhook-id", what.ID)
	headers.Set("webhook-timestamp", stamp)
	headers.Set("webhook-signature", sign(n.secret, what.ID, stamp, body))
	return webhook.Post(ctx, t.url, headers, body)
}

// sign is the signature of a note: HMAC-SHA256 over its id, the time of sending and its body.
func sign(secret []byte, id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
