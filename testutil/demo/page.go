package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tssbackup/tssbackup/testutil/freeport"
	"github.com/tssbackup/tssbackup/testutil/processes"
)

// pageName is the name of the process that serves the public page.
const pageName = "page"

// pagePatience is how long the page may take to show what has happened: it looks every few seconds.
const pagePatience = time.Minute

// findPage chooses where the page is going to be.
func (n *network) findPage() error {
	addrs, err := freeport.Addrs(1)
	if err != nil {
		return err
	}
	n.Page = "http://" + addrs[0]
	return nil
}

// startPage serves the public page of the chain, as somebody does who runs none of the nodes.
func (n *network) startPage(ctx context.Context) (string, error) {
	if err := n.writePrometheus(); err != nil {
		return "", err
	}
	args := append(n.verifying(nil), "--chain-id", n.ChainID,
		"--listen", strings.TrimPrefix(n.Page, "http://"))
	if err := n.Start(
		pageName, n.Log(pageName), nil, n.Path("tssbackup-watch"), args...,
	); err != nil {
		return "", err
	}
	return n.waitPage(ctx, "to say that there is no vault", func(r *report) bool {
		return r.Verdict.Level == "none"
	})
}

// seeKeygen waits until the page shows the members of the open keygen.
func (n *network) seeKeygen(ctx context.Context) (string, error) {
	if _, err := n.waitPage(ctx, "to show the keygen", func(r *report) bool {
		return len(r.Churns) == 1 && r.Churns[0].Status == "open" &&
			len(r.Churns[0].Keygens) == 1 && len(r.Churns[0].Keygens[0].Members) == len(n.holders)
	}); err != nil {
		return "", err
	}
	return fmt.Sprintf("the keygen is there with its %d members", len(n.holders)), nil
}

// seeRecoverable waits until the page says that nothing is lost, to people and to programs.
func (n *network) seeRecoverable(ctx context.Context) (string, error) {
	title, err := n.waitPage(ctx, "to call every vault recoverable", func(r *report) bool {
		return r.State == "verified" && r.Verdict.Level == "recoverable" &&
			r.Verdict.Proven == len(n.holders) &&
			len(r.Vaults) == 1 && r.Vaults[0].Vault == n.vault.Vault
	})
	if err != nil {
		return "", err
	}
	html, err := read(ctx, n.Page)
	if err == nil && !strings.Contains(string(html), title) {
		err = fmt.Errorf("the page %s does not say %q", n.Page, title)
	}
	return title, err
}

// report is what the page says to programs.
type report struct {
	State   string `json:"state"`
	Verdict struct {
		Level  string `json:"level"`
		Title  string `json:"title"`
		Proven int    `json:"proven"`
	} `json:"verdict"`
	Vaults []struct {
		Vault string `json:"vault"`
	} `json:"vaults"`
	Churns []struct {
		Status  string `json:"status"`
		Keygens []struct {
			Members []any `json:"members"`
		} `json:"keygens"`
	} `json:"churns"`
}

// waitPage waits until the page says something, and returns its verdict in words.
func (n *network) waitPage(
	ctx context.Context, what string, says func(*report) bool,
) (string, error) {
	var last report
	err := processes.Await(ctx, pagePatience, "the page "+what, func(ctx context.Context) (bool, error) {
		if err := n.Alive(pageName); err != nil {
			return false, err
		}
		raw, err := read(ctx, n.Page+"/coverage.json")
		if err != nil {
			return false, err
		}
		last = report{}
		if err := json.Unmarshal(raw, &last); err != nil {
			return false, err
		}
		return says(&last), nil
	})
	if err != nil && last.Verdict.Title != "" {
		err = fmt.Errorf("%w; it says: %s", err, last.Verdict.Title)
	}
	return last.Verdict.Title, err
}

func read(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, 16<<20))
}
