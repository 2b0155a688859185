package spec

import "testing"

func TestCheckURL(t *testing.T) {
	for text, good := range map[string]bool{
		"http://127.0.0.1": true, "http://127.0.0.1/": true, "https://a.example.org:8443/x/y?z=1&q=http://b": true, "http://[::1]": true,
		"http://[fe80::1%25eth0]:80/": true, "http://a?x": true, "http://A_b-c.d:65535": true, "http://a/%2F%ff": true, "http://a/ä": true,
		"": false, "http://": false, "http:/a": false, "HTTP://a": false, "ftp://a": false, "http://a:": false, "http://a:0": false,
		"http://a:65536": false, "http://a:b": false, "http://[::1": false, "http://[::1]x": false, "http://[a]:80": false, "http://[]": false,
		"http://u@a": false, "http://u:p@a/": false, "http://a/#x": false, "http://a/ x": false, "http://a/\n": false, "http://a b/": false,
		"http://a/%": false, "http://a/%2": false, "http://a/%2x": false, "http://a:80:80/": false, "http://ä/": false, "http://a:+80": false,
		"http://[::1%\n]/": false,
	} {
		if err := checkURL(text); (err == nil) != good {
			t.Errorf("checkURL(%q) = %v", text, err)
		}
	}
}

func TestCheckHostPort(t *testing.T) {
	for text, good := range map[string]bool{
		"127.0.0.1:80": true, "localhost:65535": true, "[::1]:1": true, "[fe80::1%eth0]:80": true, "a.b:80": true,
		"": false, "80": false, ":80": false, "a": false, "a:": false, "a:80:": false, "::1:80": false, "[::1]": false, "[::1]:": false,
		"[::1]:80:80": false, "a:80/": false, "a/b:80": false, "tcp://a:80": false, "a:http": false, "a:-1": false,
	} {
		if err := checkHostPort(text); (err == nil) != good {
			t.Errorf("checkHostPort(%q) = %v", text, err)
		}
	}
}

func TestIsIPv6(t *testing.T) {
	for text, good := range map[string]bool{
		"::": true, "::1": true, "1::": true, "fe80::1": true, "1:2:3:4:5:6:7:8": true, "1:2:3:4:5:6:7::": true, "::2:3:4:5:6:7:8": true,
		"::ffff:127.0.0.1": true, "1:2:3:4:5:6:1.2.3.4": true, "fe80::1%eth0": true,
		"": false, ":": false, "1": false, ":1": false, "1:": false, ":::": false, "1:::2": false, "1::2::3": false, "12345::": false, "g::": false,
		"1:2:3:4:5:6:7": false, "1:2:3:4:5:6:7:8:9": false, "::2:3:4:5:6:7:8:9": false, "1:2:3:4::5:6:7:8": false, "::1.2.3": false,
		"::1.2.3.256": false, "::01.2.3.4": false, "1.2.3.4": false, "1.2.3.4::": false, "::1%": false, "::1%a b": false, ":0:": false,
	} {
		if got := isIPv6(text, "%"); got != good {
			t.Errorf("isIPv6(%q) = %v", text, got)
		}
	}
}
