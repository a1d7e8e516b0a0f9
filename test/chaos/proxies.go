package main

import (
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
	l, err := p.start(name, "127.0.0.1:0", upstream)
	if err != nil {
		return "", err
	}
	return l.Listen, nil
}

func (p *proxies) start(name, listen, upstream string) (*toxiproxy.Proxy, error) {
	l := toxiproxy.NewProxy(p.server, name, listen, upstream)
	if err := l.Start(); err != nil {
		return nil, fmt.Errorf("starting the proxy %s: %w", name, err)
	}
	p.links[name] = l
	return l, nil
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

// heal takes the toxic off a link, and its connections with it. Toxiproxy could leave
// them, but waits seconds for a toxic that has something to pass on to nobody, and keeps
// what comes by new connections until then: longer than a quiet period.
func (p *proxies) heal(link string) error {
	p.cut(link)
	return p.mend(link)
}

// cut closes the link's connections and refuses new ones until mend.
func (p *proxies) cut(link string) { p.links[link].Stop() }

// mend makes a link anew where the one that was cut listened.
func (p *proxies) mend(link string) error {
	_, err := p.start(link, p.links[link].Listen, p.links[link].Upstream)
	return err
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
