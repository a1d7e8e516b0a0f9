package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxies stand between a worker and what it talks to.
type proxies struct {
	server *toxiproxy.ApiServer
	links  map[string]*toxiproxy.Proxy // by name, as worker1/nats1
}

func newProxies() *proxies {
	return &proxies{
		server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
		links:  map[string]*toxiproxy.Proxy{},
	}
}

// link makes a proxy and returns where it listens.
func (p *proxies) link(name, upstream string) (string, error) {
	l := toxiproxy.NewProxy(p.server, name, "127.0.0.1:0", upstream)
	if err := p.server.Collection.Add(l, true); err != nil {
		return "", fmt.Errorf("making the proxy %s: %w", name, err)
	}
	p.links[name] = l
	return l.Listen, nil
}

// toxic is one way in which a link goes wrong.
type toxic struct {
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Stream     string         `json:"stream"` // upstream: what the worker sends; downstream: what it gets
	Toxicity   float32        `json:"toxicity"`
	Attributes map[string]any `json:"attributes"`
}

func (p *proxies) poison(link string, t toxic) error {
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("writing a toxic: %w", err)
	}
	if _, err := p.links[link].Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		return fmt.Errorf("adding %s to %s: %w", t.Type, link, err)
	}
	return nil
}

// heal takes all toxics off a link.
func (p *proxies) heal(ctx context.Context, link string) { p.links[link].Toxics.ResetToxics(ctx) }

// cut closes the link's connections and refuses new ones until mend.
func (p *proxies) cut(link string) { p.links[link].Stop() }

func (p *proxies) mend(link string) error {
	if err := p.links[link].Start(); err != nil && err != toxiproxy.ErrProxyAlreadyStarted {
		return fmt.Errorf("starting the proxy %s again: %w", link, err)
	}
	return nil
}

// calm ends all trouble on all links.
func (p *proxies) calm(ctx context.Context) error {
	for name := range p.links {
		p.heal(ctx, name)
		if err := p.mend(name); err != nil {
			return err
		}
	}
	return nil
}

func (p *proxies) stop() {
	for _, l := range p.links {
		l.Stop()
	}
}

// throughProxy is the database's URL by a proxy of its own.
func (h *harness) throughProxy(link string) (string, error) {
	u, err := url.Parse(h.postgres.URL)
	if err != nil {
		return "", fmt.Errorf("reading the database's URL: %w", err)
	}
	if u.Host, err = h.proxies.link(link, u.Host); err != nil {
		return "", err
	}
	return u.String(), nil
}
