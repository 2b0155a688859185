package spec

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// thousand is a configuration of 1,000 services as a large installation has them.
func thousand(t testing.TB) *Config {
	var b strings.Builder
	b.WriteString("[defaults]\nrestart = { delay = \"1s\" }\nlimits = { open_files = 65536 }\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "[service.web%d]\ncommand = \"gunicorn app:app --port %d\"\ndirectory = \"/srv/app%d\"\nuser = \"www-data\"\n", i, i, i)
		fmt.Fprintf(&b, "env = { DATABASE_URL = \"postgres://db/%d\" }\nafter = [\"web0\"]\n", i)
	}
	text := strings.Replace(b.String(), "after = [\"web0\"]\n", "", 1)
	c, errs := Load("/srv/stay.toml", files{"/srv/stay.toml": text}.source())
	if errs != nil {
		t.Fatal(errs)
	}
	return c
}

func roundTrip(t *testing.T, c *Config) *Config {
	t.Helper()
	text, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(text)
	if err != nil {
		t.Fatalf("Decode: %v\n%s", err, text)
	}
	return again
}

func TestFrozenRoundTrip(t *testing.T) {
	minimal := []*Service{{Name: "a"}, newService(), {Name: "c", Env: []Var{{"X", "1", FromKey}}}}
	all := files{"/srv/stay.toml": readTestdata(t, "good.toml")}.load(t)
	backwards := &Config{Services: []*Service{all.Services[2], all.Services[0], all.Services[1]}}
	for name, c := range map[string]*Config{
		"empty": {}, "minimal": {File: "/x", Services: minimal}, "every key": all, "another first": backwards, "large": thousand(t),
	} {
		if again := roundTrip(t, c); !reflect.DeepEqual(c, again) {
			for i := range c.Services {
				equal(t, name, again.Services[i], c.Services[i])
			}
			t.Errorf("%s: %+v, want %+v", name, again, c)
		}
	}
}

// TestFrozenEveryField sets every field of Service in turn, first and later in the list, so that a new field whose zero
// value is left out of the JSON form cannot be lost.
func TestFrozenEveryField(t *testing.T) {
	typ := reflect.TypeFor[Service]()
	for i := range typ.NumField() {
		full, empty := newService(), &Service{}
		fill(reflect.ValueOf(full).Elem().Field(i))
		c := &Config{Services: []*Service{full, newService(), empty, full}}
		if again := roundTrip(t, c); !reflect.DeepEqual(c, again) {
			t.Errorf("%s: %+v, want %+v", typ.Field(i).Name, again.Services, c.Services)
		}
	}
}

// fill gives every part of v a value that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Uint64:
		v.SetUint(7)
	default:
		v.SetInt(7)
	}
}

// TestDecodeOther: what another version wrote may have fields that are not known here, and other defaults.
func TestDecodeOther(t *testing.T) {
	text, err := Encode(&Config{Services: []*Service{newService()}})
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"base":{`), []byte(`"new":[{}],"base":{"new":1,`), 1)
	text = bytes.Replace(text, []byte(`"start_timeout":60000000000`), []byte(`"start_timeout":5`), 1)
	c, err := Decode(text)
	if err != nil || c.Services[0].StartTimeout != 5 {
		t.Errorf("Decode: %+v, %v", c, err)
	}
}

func TestDecodeErrors(t *testing.T) {
	text, err := Encode(&Config{Services: []*Service{newService(), newService()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{"", "{", `{"count":-1}`, `{"count":99999999}`, `{"base":null}`, string(text[:len(text)-4]), string(text[:len(text)-2])} {
		if c, err := Decode([]byte(damaged)); err == nil {
			t.Errorf("Decode of damaged %d bytes: %+v", len(damaged), c)
		}
	}
}

// TestEnvSplit: a service's environment may share, change, add and lack variables of base.
func TestEnvSplit(t *testing.T) {
	env := func(text string) (list []Var) {
		for pair := range strings.FieldsSeq(text) {
			name, value, _ := strings.Cut(pair, "=")
			list = append(list, Var{name, value, FromKey})
		}
		return list
	}
	lists := []string{"", "B=1", "A=1 B=1 C=1", "B=2", "A=2 C=1", "A=1 B=1 C=1 D=1", "D=1", "AA=1 B=1 BB=1"}
	for _, base := range lists {
		for _, want := range lists {
			own, unset := splitEnv(env(want), env(base))
			if got := joinEnv(own, env(base), unset); !reflect.DeepEqual(got, env(want)) {
				t.Errorf("%q over %q is %v (own %v, unset %v)", want, base, got, own, unset)
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	text, err := Encode(thousand(b))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c := thousand(b)
	for b.Loop() {
		if _, err := Encode(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	c := thousand(b)
	for b.Loop() {
		Diff(c, c)
	}
}
