package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	mathrand "math/rand"

	pb "github.com/headgate/headgate/gen/go/headgate/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	batchEvents  = 500                    // At most the application's burst: a larger batch never passes.
	batchBytes   = 1 << 20                // A batch of so many is full, too. The gateway takes messages of 4 MiB, and events of 900 KiB.
	linger       = 100 * time.Millisecond // That an event waits for others.
	maxWindow    = 16                     // Batches in flight, at most: a stream starts with one, and each verdict adds one.
	queue        = 20_000                 // Events that wait to be sent.
	firstPause   = 100 * time.Millisecond // Before the next stream; doubled with each that brings no answer,
	longestPause = 5 * time.Second        // up to this.
)

// Sender sends events to a Headgate gateway: batches on one long-lived stream, sent again until each has its verdict.
//
// Put waits while the queue is full, so memory is bounded: at most `queue` events wait and `maxWindow` batches are in
// flight. While the gateway is away, events wait here; what was in flight is sent again with the same ids.
type Sender struct {
	// How many events were stored, given up as refused, and sent once more; how often the gateway asked to wait; how many
	// streams brought answers. To be read once Close has returned.
	Acknowledged, Refused, Resent, PutOff, Streams int

	conn    *grpc.ClientConn
	service pb.IngestServiceClient
	ctx     context.Context
	giveUp  context.CancelFunc
	queue   chan *pb.Event
	closing chan struct{}
	done    chan struct{}

	// Of the goroutine that runs.
	batch     []*pb.Event // that is being filled
	bytes     int
	due       time.Time     // when it goes out, however small
	again     [][]*pb.Event // to be sent again, before anything new
	window    int
	notBefore time.Time
	failure   error
}

// stream is one that is open, and the batches on it that have no answer yet.
type stream struct {
	pb.IngestService_StreamEventsClient
	inFlight map[uint64][]*pb.Event
	sequence uint64
	answered bool
	leaving  bool // Nothing more is sent here.
}

// NewSender needs credentials for TLS; without there is none.
func NewSender(address, key string, tls credentials.TransportCredentials) (*Sender, error) {
	transport := grpc.WithInsecure()
	if tls != nil {
		transport = grpc.WithTransportCredentials(tls)
	}
	conn, err := grpc.Dial(address, transport,
		// A connection that died without a word is found out within 15 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		// The channel waits less than its two minutes before it connects again.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 2, Jitter: 0.2, MaxDelay: longestPause},
			MinConnectTimeout: longestPause,
		}))
	if err != nil {
		return nil, err
	}
	ctx, giveUp := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), "x-api-key", key))
	s := &Sender{
		conn: conn, service: pb.NewIngestServiceClient(conn), ctx: ctx, giveUp: giveUp,
		queue: make(chan *pb.Event, queue), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go s.run()
	return s, nil
}

// Put takes an event, and waits while the queue is full. One without an id gets one: it makes a resend harmless. It is
// not to be called any more once Close is.
func (s *Sender) Put(event *pb.Event) error {
	if event.EventId == "" {
		event.EventId = newID()
	}
	select {
	case s.queue <- event:
		return nil
	case <-s.done:
		if s.failure != nil {
			return s.failure
		}
		return errors.New("the sender is closed")
	}
}

// Close sends what is left and waits for its verdicts. It is an error if some has none after that time.
func (s *Sender) Close(patience time.Duration) error {
	close(s.closing)
	select {
	case <-s.done:
	case <-time.After(patience):
	}
	s.giveUp()
	<-s.done
	s.conn.Close()
	if left := s.left(); s.failure == nil && left > 0 {
		return fmt.Errorf("%d events have no verdict after %s", left, patience)
	}
	return s.failure
}

func (s *Sender) run() {
	defer close(s.done)
	for pause := firstPause; ; {
		answered, hint := s.converse()
		if s.failure != nil || s.ctx.Err() != nil || s.isClosing() && s.left() == 0 {
			return
		}
		if pause = 2 * pause; pause > longestPause {
			pause = longestPause
		}
		if answered {
			pause = firstPause
		}
		if hint == 0 {
			// Servers that lost the same gateway do not come back in step.
			hint = time.Duration(mathrand.Int63n(int64(pause)))
		}
		select {
		case <-time.After(hint):
		case <-s.ctx.Done():
		}
	}
}

type answer struct {
	*pb.StreamEventsResponse
	err error
}

// converse has one stream, from its opening to its end: whether it brought answers, and how long the gateway says to wait.
func (s *Sender) converse() (bool, time.Duration) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	opened, err := s.service.StreamEvents(ctx)
	if err != nil {
		return false, s.ended(err)
	}
	// As long as what can be answered, so that reading never waits for writing.
	answers := make(chan answer, maxWindow+8)
	go receive(opened, answers)

	talk := &stream{IngestService_StreamEventsClient: opened, inFlight: map[uint64][]*pb.Event{}}
	s.window = 1
	closing := s.closing
	for {
		now := time.Now()
		s.fill(now)
		var wake <-chan time.Time
		if !talk.leaving && len(talk.inFlight) < s.window {
			wait := s.notBefore.Sub(now)
			if wait <= 0 {
				if batch := s.take(now); batch != nil {
					talk.send(batch)
					continue
				}
				if s.isClosing() && len(talk.inFlight) == 0 {
					talk.endSending()
					continue
				}
				wait = s.due.Sub(now)
			}
			if s.notBefore.After(now) || len(s.batch) > 0 {
				wake = time.After(wait)
			}
		}
		var more <-chan *pb.Event
		if !s.isFull() {
			more = s.queue
		}
		select {
		case event := <-more:
			s.add(event, now)
		case answer := <-answers:
			if answer.err != nil {
				s.leave(talk)
				return talk.answered, s.ended(answer.err)
			}
			s.answered(talk, answer.StreamEventsResponse)
		case <-wake:
		case <-closing:
			closing = nil // Once is enough: isClosing knows.
		}
	}
}

func receive(from pb.IngestService_StreamEventsClient, answers chan<- answer) {
	for {
		response, err := from.Recv()
		answers <- answer{response, err}
		if err != nil {
			return
		}
	}
}

func (s *stream) send(batch []*pb.Event) {
	s.sequence++
	s.inFlight[s.sequence] = batch
	// What goes wrong here ends the stream, and the reader is told why.
	_ = s.Send(&pb.StreamEventsRequest{Sequence: s.sequence, Events: batch})
}

func (s *stream) endSending() {
	s.leaving = true
	_ = s.CloseSend()
}

// fill takes what waits in the queue, as far as there is room in the batch.
func (s *Sender) fill(now time.Time) {
	for !s.isFull() {
		select {
		case event := <-s.queue:
			s.add(event, now)
		default:
			return
		}
	}
}

func (s *Sender) add(event *pb.Event, now time.Time) {
	if len(s.batch) == 0 {
		s.due = now.Add(linger)
	}
	s.batch = append(s.batch, event)
	s.bytes += proto.Size(event)
}

func (s *Sender) isFull() bool {
	return len(s.batch) >= batchEvents || s.bytes >= batchBytes
}

// take returns the next batch: one to send again, or a full one, or what has waited long enough.
func (s *Sender) take(now time.Time) []*pb.Event {
	if len(s.again) > 0 {
		batch := s.again[0]
		s.again = s.again[1:]
		s.Resent += len(batch)
		return batch
	}
	if !s.isFull() && !s.isClosing() && s.due.After(now) {
		return nil
	}
	batch := s.batch
	s.batch, s.bytes = nil, 0
	return batch
}

func (s *Sender) answered(talk *stream, answer *pb.StreamEventsResponse) {
	if answer.GetNotice() != nil {
		// Draining, or an old connection: this stream ends once its answers are in, and the next one is opened.
		talk.endSending()
		return
	}
	batch, known := talk.inFlight[answer.Sequence]
	if !known {
		return
	}
	delete(talk.inFlight, answer.Sequence)
	if !talk.answered {
		talk.answered = true
		s.Streams++
	}
	if verdict := answer.GetVerdict(); verdict != nil {
		s.settle(batch, verdict)
	} else {
		s.refuse(batch, answer.GetRefusal())
	}
}

func (s *Sender) settle(batch []*pb.Event, verdict *pb.BatchVerdict) {
	s.Acknowledged += int(verdict.Accepted)
	s.Refused += int(verdict.Rejected)
	var again []*pb.Event
	var delay time.Duration
	for _, each := range verdict.NotAccepted {
		event := batch[each.Index]
		if each.Code == pb.VerdictCode_VERDICT_CODE_REJECTED {
			log.Printf("event %s is rejected: %s", event.EventId, each.Message)
			continue
		}
		again = append(again, event)
		if asked := each.RetryDelay.AsDuration(); asked > delay {
			delay = asked
		}
	}
	if len(again) > 0 {
		s.again = append(s.again, again)
		if delay == 0 {
			delay = firstPause
		}
		s.putOff(delay)
	} else if s.window < maxWindow {
		s.window++
	}
}

func (s *Sender) refuse(batch []*pb.Event, refusal *pb.Status) {
	if refusal.GetRetryDelay() != nil {
		s.again = append(s.again, batch)
		s.putOff(refusal.RetryDelay.AsDuration())
	} else {
		s.Refused += len(batch)
		log.Printf("a batch of %d events is refused: %s", len(batch), refusal.GetMessage())
	}
}

// putOff: the gateway is over a limit. Nothing is sent before it says, and then less at once.
func (s *Sender) putOff(delay time.Duration) {
	s.PutOff++
	if s.window > 1 {
		s.window /= 2
	}
	jitter := time.Duration(mathrand.Float64() * float64(delay) / 10)
	if until := time.Now().Add(delay + jitter); until.After(s.notBefore) {
		s.notBefore = until
	}
}

// leave: what has no answer may be stored or not. It is sent again, and its ids tell the gateway which it is.
func (s *Sender) leave(talk *stream) {
	var unanswered [][]*pb.Event
	for sequence := uint64(1); sequence <= talk.sequence; sequence++ {
		if batch, is := talk.inFlight[sequence]; is {
			unanswered = append(unanswered, batch)
		}
	}
	s.again = append(unanswered, s.again...)
}

// ended looks at how a stream ended, and returns how long the gateway says to wait, if it does.
func (s *Sender) ended(err error) time.Duration {
	if err == io.EOF || s.ctx.Err() != nil {
		return 0 // As it was asked to.
	}
	end := status.Convert(err)
	switch end.Code() {
	// A stream that ends with one of these ends so again, until someone mends the key or the client.
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.InvalidArgument:
		s.failure = err
	default:
		log.Printf("the stream ended, %s: %s", end.Code(), end.Message())
	}
	for _, detail := range end.Details() {
		if info, is := detail.(*errdetails.RetryInfo); is {
			return info.RetryDelay.AsDuration()
		}
	}
	return 0
}

func (s *Sender) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *Sender) left() int {
	left := len(s.queue) + len(s.batch)
	for _, batch := range s.again {
		left += len(batch)
	}
	return left
}

// newID makes a UUID of version 4.
func newID() string {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic(err)
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
