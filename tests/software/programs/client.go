// Reads lines "id host address port", asks each by HTTPS as Go does by default, writes "id ok" or "id text".
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	pem, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		spot := strings.Fields(lines.Text())
		place := net.JoinHostPort(spot[2], spot[3])
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, place)
			},
		}}
		answer, err := client.Get("https://" + net.JoinHostPort(spot[1], spot[3]) + "/")
		if err != nil {
			fmt.Println(spot[0], strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		answer.Body.Close()
		fmt.Println(spot[0], "ok")
	}
}
