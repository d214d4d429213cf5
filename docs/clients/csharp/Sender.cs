using System.Diagnostics;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Headgate.V1;

namespace Headgate.Example;

/// <summary>
/// Sends events to a Headgate gateway: batches on one long-lived stream, sent again until each has its verdict.
/// <para><see cref="PutAsync"/> waits while the queue is full, so memory is bounded: at most <c>QueueEvents</c> events wait
/// and <c>Window</c> batches are in flight. While the gateway is away, events wait here; what was in flight is sent again
/// with the same ids.</para>
/// </summary>
public sealed class Sender
{
    private const int BatchEvents = 500; // At most the application's burst: a larger batch never passes.
    private const int BatchBytes = 1 << 20; // A batch of so many is full, too. The gateway takes messages of 4 MiB, and
    // events of 900 KiB.
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(100); // That an event waits for others.
    private const int Window = 16; // Batches in flight, at most: a stream starts with one, and each verdict adds one.
    private const int QueueEvents = 20_000; // Events that wait to be sent.
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100); // Before the next stream; doubled with
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5); // each that brings no answer, up to this.

    private static readonly Stopwatch Clock = Stopwatch.StartNew();

    private readonly GrpcChannel channel;
    private readonly IngestService.IngestServiceClient service;
    private readonly Metadata metadata;
    private readonly CancellationTokenSource giveUp = new();
    private readonly Task loop;

    // Whoever reads or changes what follows holds this.
    private readonly object gate = new();
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<(Event Event, TimeSpan Came)> queue = new();
    private readonly LinkedList<List<Event>> again = new(); // To be sent again, before anything new.
    private Stream stream = new();
    private int window = 1;
    private TimeSpan notBefore;
    private bool closing;
    private Exception? failure;
    private long acknowledged, refused, resent, putOff, streams;

    /// <summary>A stream that is open, and the batches on it that have no answer yet.</summary>
    private sealed class Stream
    {
        public readonly SortedDictionary<ulong, List<Event>> InFlight = new();
        public ulong Sequence;
        public bool Answered;
        public bool Leaving; // Asked to leave: nothing more is sent here.
        public bool Over;
    }

    /// <param name="address">Such as <c>https://gateway.example:50051</c>; <c>http://</c> for no TLS.</param>
    /// <param name="key">The API key.</param>
    /// <param name="authority">Whom to trust; without it, whom this machine trusts.</param>
    public Sender(Uri address, string key, X509Certificate2? authority = null)
    {
        var handler = new SocketsHttpHandler
        {
            // A connection that died without a word is found out within 15 s.
            KeepAlivePingDelay = TimeSpan.FromSeconds(10),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(5),
            ConnectTimeout = LongestPause,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        };
        if (authority != null)
        {
            var policy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            policy.CustomTrustStore.Add(authority);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }
        channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
        service = new IngestService.IngestServiceClient(channel);
        metadata = new Metadata { { "x-api-key", key } };
        loop = Task.Run(RunAsync);
    }

    /// <summary>Takes an event, and waits while the queue is full. One without an id gets one: it makes a resend harmless.
    /// </summary>
    public async ValueTask PutAsync(Event @event)
    {
        if (@event.EventId.Length == 0)
        {
            @event.EventId = Guid.NewGuid().ToString();
        }
        while (true)
        {
            Task change;
            lock (gate)
            {
                if (failure != null)
                {
                    throw failure;
                }
                if (closing)
                {
                    throw new InvalidOperationException("the sender is closed");
                }
                if (queue.Count < QueueEvents)
                {
                    queue.Enqueue((@event, Clock.Elapsed));
                    // What waits already has set the clock.
                    if (queue.Count is 1 or BatchEvents)
                    {
                        Changed();
                    }
                    return;
                }
                change = changed.Task;
            }
            await change;
        }
    }

    /// <summary>Sends what is left and waits for its verdicts. Throws if some has none after that time.</summary>
    public async Task CloseAsync(TimeSpan patience)
    {
        lock (gate)
        {
            closing = true;
            Changed();
        }
        await Task.WhenAny(loop, Task.Delay(patience));
        giveUp.Cancel(); // Ends the stream, too.
        lock (gate)
        {
            Changed();
        }
        await loop;
        channel.Dispose();
        lock (gate)
        {
            if (failure != null)
            {
                throw failure;
            }
            if (Left() > 0)
            {
                throw new TimeoutException($"{Left()} events have no verdict after {patience}");
            }
        }
    }

    /// <summary>What became of the events.</summary>
    public string Report()
    {
        lock (gate)
        {
            return $"acknowledged={acknowledged} refused={refused} resent={resent} put_off={putOff} streams={streams}";
        }
    }

    private async Task RunAsync()
    {
        try
        {
            var pause = FirstPause;
            while (Open() is { } opened)
            {
                var hint = await ConverseAsync(opened);
                pause = opened.Answered ? FirstPause : pause * 2 < LongestPause ? pause * 2 : LongestPause;
                // Servers that lost the same gateway do not come back in step.
                await RestAsync(hint ?? pause * Random.Shared.NextDouble());
            }
        }
        catch (Exception error)
        {
            Fail(error);
        }
    }

    private Stream? Open()
    {
        lock (gate)
        {
            if (Done())
            {
                return null;
            }
            window = 1;
            return stream = new Stream();
        }
    }

    /// <summary>One stream, from its opening to its end. Returns how long the gateway says to wait, if it does.</summary>
    private async Task<TimeSpan?> ConverseAsync(Stream on)
    {
        using var call = service.StreamEvents(metadata, cancellationToken: giveUp.Token);
        var reading = ReadAsync(on, call.ResponseStream);
        try
        {
            while (await NextAsync(on) is { } request)
            {
                await call.RequestStream.WriteAsync(request);
            }
            await call.RequestStream.CompleteAsync();
        }
        catch (Exception error) when (error is RpcException or InvalidOperationException or OperationCanceledException)
        {
            // The stream is broken, and the reader is told why.
        }
        var end = await reading;
        lock (gate)
        {
            // What has no answer may be stored or not: it is sent again, and its ids tell the gateway which it is.
            foreach (var batch in on.InFlight.Values.Reverse())
            {
                again.AddFirst(batch);
            }
            on.InFlight.Clear();
        }
        if (end == null || giveUp.IsCancellationRequested)
        {
            return null;
        }
        // A stream that ends with one of these ends so again, until someone mends the key or the client.
        if (end.StatusCode is StatusCode.Unauthenticated or StatusCode.PermissionDenied or StatusCode.Unimplemented
            or StatusCode.InvalidArgument)
        {
            Fail(end);
            return null;
        }
        Console.Error.WriteLine($"the stream ended, {end.StatusCode}: {end.Status.Detail}");
        return end.GetRpcStatus()?.GetDetail<RetryInfo>()?.RetryDelay?.ToTimeSpan();
    }

    /// <summary>Reads answers until the stream ends. Returns how it did; null: well.</summary>
    private async Task<RpcException?> ReadAsync(Stream on, IAsyncStreamReader<StreamEventsResponse> answers)
    {
        try
        {
            while (await answers.MoveNext(CancellationToken.None))
            {
                lock (gate)
                {
                    Answered(on, answers.Current);
                    Changed();
                }
            }
            return null;
        }
        catch (RpcException end)
        {
            return end;
        }
        finally
        {
            lock (gate)
            {
                on.Over = true;
                Changed();
            }
        }
    }

    /// <summary>Waits until a batch may be sent on this stream; null: the stream is to end.</summary>
    private async Task<StreamEventsRequest?> NextAsync(Stream on)
    {
        while (true)
        {
            Task change;
            var wait = Timeout.InfiniteTimeSpan;
            lock (gate)
            {
                if (on.Over || on.Leaving || giveUp.IsCancellationRequested)
                {
                    return null;
                }
                change = changed.Task;
                var now = Clock.Elapsed;
                if (on.InFlight.Count < window)
                {
                    wait = notBefore - now;
                    if (wait <= TimeSpan.Zero)
                    {
                        if (Take(now) is { } batch)
                        {
                            on.InFlight[++on.Sequence] = batch;
                            return new StreamEventsRequest { Sequence = on.Sequence, Events = { batch } };
                        }
                        if (closing && on.InFlight.Count == 0)
                        {
                            return null;
                        }
                        wait = queue.Count == 0 ? Timeout.InfiniteTimeSpan : queue.Peek().Came + Linger - now;
                    }
                }
            }
            await EitherAsync(change, wait);
        }
    }

    /// <summary>The next batch: one to send again, or a full one, or what has waited long enough.</summary>
    private List<Event>? Take(TimeSpan now)
    {
        if (again.First is { } first)
        {
            again.RemoveFirst();
            resent += first.Value.Count;
            return first.Value;
        }
        var due = closing || queue.Count >= BatchEvents;
        if (queue.Count == 0 || !(due || queue.Peek().Came + Linger <= now))
        {
            return null;
        }
        var batch = new List<Event>();
        for (var size = 0; queue.Count > 0 && batch.Count < BatchEvents && size < BatchBytes;)
        {
            batch.Add(queue.Dequeue().Event);
            size += batch[^1].CalculateSize();
        }
        Changed();
        return batch;
    }

    private void Answered(Stream on, StreamEventsResponse answer)
    {
        if (answer.AnswerCase == StreamEventsResponse.AnswerOneofCase.Notice)
        {
            // Draining, or an old connection: this stream ends once its answers are in, and the next one is opened.
            on.Leaving = true;
        }
        else if (on.InFlight.Remove(answer.Sequence, out var batch))
        {
            streams += on.Answered ? 0 : 1;
            on.Answered = true;
            if (answer.AnswerCase == StreamEventsResponse.AnswerOneofCase.Verdict)
            {
                Settle(batch, answer.Verdict);
            }
            else
            {
                Refuse(batch, answer.Refusal);
            }
        }
    }

    private void Settle(List<Event> batch, BatchVerdict verdict)
    {
        acknowledged += verdict.Accepted;
        refused += verdict.Rejected;
        var rest = new List<Event>();
        var delay = TimeSpan.Zero;
        foreach (var each in verdict.NotAccepted)
        {
            var about = batch[(int)each.Index];
            if (each.Code == VerdictCode.Rejected)
            {
                Console.Error.WriteLine($"event {about.EventId} is rejected: {each.Message}");
                continue;
            }
            rest.Add(about);
            if (each.RetryDelay?.ToTimeSpan() is { } asked && asked > delay)
            {
                delay = asked;
            }
        }
        if (rest.Count > 0)
        {
            again.AddLast(rest);
            PutOff(delay > TimeSpan.Zero ? delay : FirstPause);
        }
        else
        {
            window = Math.Min(window + 1, Window);
        }
    }

    private void Refuse(List<Event> batch, Headgate.V1.Status refusal)
    {
        if (refusal.RetryDelay != null)
        {
            again.AddLast(batch);
            PutOff(refusal.RetryDelay.ToTimeSpan());
        }
        else
        {
            refused += batch.Count;
            Console.Error.WriteLine($"a batch of {batch.Count} events is refused: {refusal.Message}");
        }
    }

    /// <summary>The gateway is over a limit: nothing is sent before it says, and then less at once.</summary>
    private void PutOff(TimeSpan delay)
    {
        putOff++;
        window = Math.Max(window / 2, 1);
        var until = Clock.Elapsed + delay * (1 + Random.Shared.NextDouble() / 10);
        notBefore = until > notBefore ? until : notBefore;
    }

    private void Fail(Exception why)
    {
        lock (gate)
        {
            failure = why;
            Changed();
        }
    }

    private async Task RestAsync(TimeSpan rest)
    {
        for (var until = Clock.Elapsed + rest; Clock.Elapsed < until;)
        {
            Task change;
            lock (gate)
            {
                if (Done())
                {
                    return;
                }
                change = changed.Task;
            }
            await EitherAsync(change, until - Clock.Elapsed);
        }
    }

    private bool Done() => giveUp.IsCancellationRequested || failure != null || (closing && Left() == 0);

    private long Left() => queue.Count + again.Sum(batch => (long)batch.Count) + stream.InFlight.Values.Sum(batch => (long)batch.Count);

    /// <summary>Wakes everyone who waits for a change.</summary>
    private void Changed()
    {
        var waiters = changed;
        changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        waiters.SetResult();
    }

    private static async Task EitherAsync(Task change, TimeSpan wait)
    {
        using var stop = new CancellationTokenSource();
        var delay = wait == Timeout.InfiniteTimeSpan || wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
        await Task.WhenAny(change, Task.Delay(delay, stop.Token));
        stop.Cancel(); // The timer is not left behind.
    }
}
