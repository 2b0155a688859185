package slo

import (
	"strings"
	"time"

	"example.com/stay/api"
)

// Windows are those of a report, unless others are asked for.
var Windows = []time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour}

// Now is the moment of a report.
type Now struct {
	Time    time.Time
	MonoNS  int64  // CLOCK_MONOTONIC
	Boot    string // the kernel's boot_id; "": the same as that of the last event
	Running bool   // stay runs: what was last is still so
}

// A Report is the figures of one service, all its instances together.
type Report struct {
	Service string   `json:"service"`
	Windows []Window `json:"windows"`
}

// A Window is the figures of the time from Window ago to now. Times are sums over the instances.
type Window struct {
	WindowS  float64 `json:"window_s"`
	CoveredS float64 `json:"covered_s"` // how much of it the journal covers

	UpS      float64 `json:"up_s"`
	DownS    float64 `json:"down_s"`
	OffS     float64 `json:"off_s"`     // not wanted
	UnknownS float64 `json:"unknown_s"` // stay did not run, or events are missing

	Uptime   *float64          `json:"uptime"` // up / (up + down), from 0 to 1; null: it was never wanted
	Deaths   int               `json:"deaths"`
	Causes   map[api.Cause]int `json:"causes"`   // of Deaths
	Failures int               `json:"failures"` // deaths that nobody asked for
	Open     int               `json:"open"`     // failures that it has not recovered from yet
	MTBFS    *float64          `json:"mtbf_s"`   // mean time up between failures; null: there was none
	MTTRS    *float64          `json:"mttr_s"`   // mean time from a failure to being up again; null: there was none
}

// Report returns the figures of each service that match says, sorted by name; nil: of all.
func (l *Ledger) Report(now Now, windows []time.Duration, match func(instance string) bool) []Report {
	list := []Report{}
	if l.all == nil {
		return list
	}
	end := l.at + l.since(now.Time, now.MonoNS, now.Boot)
	known := end
	if !now.Running {
		known = l.at
	}
	index := map[string]int{}
	sums := [][]sum{}
	for _, name := range l.names() {
		in := l.all[name]
		if match != nil && !match(name) || len(in.spans) == 0 {
			continue
		}
		service, _, _ := strings.Cut(name, ".")
		i, ok := index[service]
		if !ok {
			i = len(list)
			index[service] = i
			list = append(list, Report{Service: service})
			sums = append(sums, make([]sum, len(windows)))
		}
		for w, length := range windows {
			sums[i][w].add(in, max(0, end-length), known, end)
		}
	}
	for i := range list {
		for w, length := range windows {
			list[i].Windows = append(list[i].Windows, sums[i][w].window(length, min(length, end)))
		}
	}
	return list
}

// Begin is when the journal begins, as far as it was read; the zero time if there was nothing.
func (l *Ledger) Begin() time.Time { return l.begin }

// A sum adds up the instances of a service in a window.
type sum struct {
	times    [up + 1]time.Duration
	causes   map[api.Cause]int
	deaths   int
	failures int
	open     int
	repairs  int
	repair   time.Duration
}

// add adds what one instance was from a moment to the end, of which nothing is known after known.
func (s *sum) add(in *instance, from, known, end time.Duration) {
	for i, sp := range in.spans {
		until := known
		if i+1 < len(in.spans) {
			until = in.spans[i+1].at
		}
		s.times[sp.is] += max(0, until-max(sp.at, from))
	}
	s.times[unknown] += end - max(known, from)
	if s.causes == nil {
		s.causes = map[api.Cause]int{}
	}
	for _, d := range in.deaths {
		if d.at < from {
			continue
		}
		s.deaths++
		s.causes[d.cause]++
		if !d.failure {
			continue
		}
		s.failures++
		switch {
		case d.back > 0:
			s.repairs++
			s.repair += d.back - d.at
		case d.back == 0:
			s.open++
		}
	}
}

func (s *sum) window(length, covered time.Duration) Window {
	w := Window{WindowS: length.Seconds(), CoveredS: covered.Seconds(), UpS: s.times[up].Seconds(), DownS: s.times[down].Seconds(),
		OffS: s.times[off].Seconds(), UnknownS: s.times[unknown].Seconds(), Deaths: s.deaths, Causes: s.causes, Failures: s.failures, Open: s.open}
	if wanted := s.times[up] + s.times[down]; wanted > 0 {
		w.Uptime = new(float64(s.times[up]) / float64(wanted))
	}
	if s.failures > 0 {
		w.MTBFS = new(s.times[up].Seconds() / float64(s.failures))
	}
	if s.repairs > 0 {
		w.MTTRS = new((s.repair / time.Duration(s.repairs)).Seconds())
	}
	return w
}
