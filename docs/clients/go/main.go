// Sends events to a gateway and says what became of them.
//
//	send --address HOST:PORT --key-file FILE [--ca FILE | --tls] [--events N] [--every MS]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	pb "github.com/headgate/headgate/gen/go/headgate/v1"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func main() {
	address := flag.String("address", "127.0.0.1:50051", "the gateway")
	keyFile := flag.String("key-file", "headgate-data/demo-api-key", "file with the API key")
	ca := flag.String("ca", "", "PEM of the authority to trust; TLS")
	tls := flag.Bool("tls", false, "TLS, with the authorities that this machine trusts")
	events := flag.Int("events", 10_000, "how many")
	every := flag.Int("every", 0, "milliseconds between two events")
	flag.Parse()
	log.SetFlags(0)

	key, err := os.ReadFile(*keyFile)
	exitOn(err)
	var transport credentials.TransportCredentials
	if *ca != "" {
		transport, err = credentials.NewClientTLSFromFile(*ca, "")
		exitOn(err)
	} else if *tls {
		transport = credentials.NewClientTLSFromCert(nil, "")
	}
	sender, err := NewSender(*address, strings.TrimSpace(string(key)), transport)
	exitOn(err)
	err = send(sender, *events, time.Duration(*every)*time.Millisecond)
	fmt.Printf("acknowledged=%d refused=%d resent=%d put_off=%d streams=%d\n",
		sender.Acknowledged, sender.Refused, sender.Resent, sender.PutOff, sender.Streams)
	exitOn(err)
}

func send(sender *Sender, events int, every time.Duration) error {
	for number := 0; number < events; number++ {
		if err := sender.Put(event(number)); err != nil {
			return err
		}
		time.Sleep(every)
	}
	return sender.Close(time.Minute)
}

func event(number int) *pb.Event {
	return &pb.Event{
		EventType:      "login",
		EventName:      "player_login",
		EventTimestamp: timestamppb.Now(),
		EventData:      []byte(fmt.Sprintf(`{"player_id":"p-%d","number":%d}`, number%1000, number)),
	}
}

func exitOn(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
