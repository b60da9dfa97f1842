import Bundles
import Configuration
import Federation
import Files
import Images
import Logging
import Mailbox
package import NeuralNetworks
import SystemPackage
import Tensors
import Wire

/// How the caller of a tick watches and stops training.
package struct TrainingWatch {
    /// Asked before each step; a signal handler or a test says true.
    package var shouldStop: () -> Bool
    /// Told after each step: the session's round and how far it is.
    package var progress: (_ round: Int, _ rounds: Int, TrainingProgress) -> Void
    /// Told while the frozen layers' features are computed: pictures done, and all.
    package var features: (_ done: Int, _ of: Int) -> Void = { _, _ in }
    /// Told before hours of training begin, with what the run has found out: whoever is killed in them has marked that as said.
    package var found: (RunReport) -> Void = { _ in }
    /// Told before the memory is taken.
    package var planned: (PlannedWork) -> Void = { _ in }

    package init(
        shouldStop: @escaping () -> Bool = { false },
        progress: @escaping (Int, Int, TrainingProgress) -> Void = { _, _, _ in }
    ) {
        self.shouldStop = shouldStop
        self.progress = progress
    }
}

/// What is about to be computed, and the memory that it will take.
package struct PlannedWork: Equatable, Sendable {
    package enum Stage: Sendable { case features, training }
    package let stage: Stage
    package let round: Int
    package let rounds: Int
    package let pictures: Int
    /// All tensors and pictures together; not exceeded.
    package let bytes: Int
    /// What the configuration or the machine allows, in bytes.
    package let allowed: Int
}

extension ClientRun {
    /// How often a running training writes its checkpoint: what a power cut can cost, in seconds.
    static let checkpointInterval: Int64 = 120
    /// A partial update is sent when the deadline is nearer than this, or than a tenth of the round's time.
    static let partialBefore: Int64 = 86_400
    /// The largest model file that is read, in bytes.
    static let modelBytes = 4 << 30
    /// Weights and an optimiser's two moments of each.
    static let checkpointBytes = 3 * modelBytes + (64 << 20)

    /// Trains what is open, session by session, within the time budget, and publishes the updates.
    func train(_ watch: TrainingWatch) throws {
        guard state.sessions.contains(where: { $0.roundToTrain != nil }) else { return }
        // Not after a night's work.
        if let obstacle = mailbox.obstacle(to: server) {
            report.untrained.append(ClientError(.notAllowed, obstacle))
            let line = "not trained: \(obstacle)"
            if state.announced.announce("untrained", reason: obstacle) { attention(line) } else { detail(line) }
            return
        }
        state.announced.forget("untrained")
        reportProblems()
        watch.found(report)
        let began = monotonicSeconds()
        let budget = configuration.timeBudget ?? .max
        for session in state.sessions where session.roundToTrain != nil {
            let left = budget - (monotonicSeconds() - began)
            guard left > 0, !watch.shouldStop() else { return detail("the time budget is used up") }
            do {
                try train(session, watch, seconds: left)
                state.announced.forget(Self.untrained(session.id))
            } catch let error as MailboxError {
                // Our own disk or keys: that concerns every session.
                throw error
            } catch {
                cannotTrain(session, error)
            }
        }
    }

    private func stopped(_ line: String) {
        report.stopped.append(line)
        detail(line)
    }

    private static func untrained(_ session: RandomID) -> String { "untrained-\(session)" }

    /// Said when it begins and when its reason changes; the exit status is for every night that brings no update.
    private func cannotTrain(_ session: ClientSession, _ error: any Error) {
        report.untrained.append(error)
        let line = "session \(session.id.short), round \(session.global.round): cannot be trained: \(error)"
        if state.announced.announce(Self.untrained(session.id), reason: "\(error)") {
            attention(line)
        } else {
            detail(line)
        }
    }

    private func train(_ session: ClientSession, _ watch: TrainingWatch, seconds: Int64) throws {
        let global = try globalModel(of: session)
        let pictures = try LocalPictures.load(
            try dataFolder(), specification: global.specification, augmentation: session.plan.augmentation,
            validation: configuration.validation,
            seed: LocalTraining.seed(plan: session.plan, client: home.name), files: files, context: context)
        tellSkipped(pictures)
        let round = session.global.round
        let end = monotonicSeconds() + min(seconds, Int64.max / 4)
        let shouldStop = { watch.shouldStop() || monotonicSeconds() >= end }
        var told = 0
        let willTake = { (stage: PlannedWork.Stage, bytes: Int) in
            try self.requireMemory(bytes)
            // The validation pictures' features take less than the training pictures' just did.
            guard bytes > told || stage == .training else { return }
            told = bytes
            let all = pictures.training.count + pictures.validation.count
            watch.planned(
                PlannedWork(
                    stage: stage, round: round, rounds: session.plan.rounds,
                    pictures: stage == .features ? all : pictures.training.count,
                    bytes: bytes,
                    allowed: self.context.memoryLimit))
        }
        let features = try featureCache(requireMemory: { try willTake(.features, $0) }).features(
            session.id.hex, plan: session.plan, model: global, pictures: pictures, shouldStop: shouldStop,
            progress: watch.features)
        guard features != nil || !shouldStop() else {
            return stopped(
                "session \(session.id.short), round \(round): stopped before the training; the next run goes on from there"
            )
        }
        let training = LocalTraining(
            plan: session.plan, round: round, client: home.name, global: global, pictures: pictures,
            features: features, context: context)
        let planned = try training.plannedBytes()
        try willTake(.training, planned)
        try files.makeDirectories(home.session(session.id))
        let path = checkpointPath(session.id)
        let saved = try files.exists(path) ? try files.readFile(path, limit: Self.checkpointBytes) : nil
        let (trainer, resumed) = try training.trainer(checkpoint: saved)
        detail(
            "session \(session.id.short), round \(round): " + (resumed ? "training continues" : "training")
                + " on \(counted(pictures.training.count, "picture")), \(planned >> 20) MiB planned")

        var nextCheckpoint = monotonicSeconds() + Self.checkpointInterval
        var finished = false
        var reached: TrainingProgress?
        while !finished {
            finished = try trainer.run(
                shouldStop: { shouldStop() || monotonicSeconds() >= nextCheckpoint },
                progress: {
                    reached = $0
                    watch.progress(round, session.plan.rounds, $0)
                })
            if finished { break }
            try files.writeFile(path, trainer.checkpoint(), permissions: 0o600)
            nextCheckpoint = monotonicSeconds() + Self.checkpointInterval
            if shouldStop() { break }
        }
        guard finished || isDeadlineNear(session) && trainer.statistics.steps > 0 else {
            let place = reached.map { "epoch \($0.epoch + 1) of \($0.epochs)" } ?? "its first step"
            return stopped(
                "session \(session.id.short), round \(round): stopped in \(place); the next run goes on from there")
        }
        try publishUpdate(of: trainer, training, session)
    }

    /// The result goes to disk first, so that a run that is killed while it publishes finds the same bytes again.
    private func publishUpdate(of trainer: Trainer, _ training: LocalTraining, _ session: ClientSession) throws {
        let result = try training.result(of: trainer)
        let sent = result.model.tensors.filter { _, entry in session.plan.trainFrom.trains(part: entry.part) }
        try files.writeFile(updatePath(session.id), try Safetensors.encode(sent))
        try files.writeFile(metricsPath(session.id), result.metrics.encoded)
        try ClientHistory.append(result.metrics, session: session.id, time: now, to: home)
        try mailbox.send(
            key: updateKey(session, training.round), kind: .update, to: [server], session: session.id,
            round: training.round, request: session.request, base: session.global.model,
            payload: [
                .file(name: "update.safetensors", updatePath(session.id)),
                .file(name: UpdateMetrics.fileName, metricsPath(session.id)),
            ])
        try afterPublishing(session.id, round: training.round)
        detail(
            "session \(session.id.short), round \(training.round): update published"
                + (result.metrics.partial ? " (partial: \(result.metrics.steps) steps)" : ""))
    }

    /// A hospital that left and came back answers a round for its new request, whatever it had answered for the old one.
    private func updateKey(_ session: ClientSession, _ round: Int) -> String {
        var key = "update/\(session.id)/\(round)"
        if session.hadFalseGlobal {
            // What was sent after a false global is an update of another model. What was sent after a server's way back may be of
            // the same one, and is lost with the next way back.
            key +=
                "/\(session.global.model)/\(session.global.created.seconds)" + (session.frozen.map { "/\($0)" } ?? "")
        }
        if let bundle = session.trainedAgainFor { key += "/\(bundle)" }
        guard let request = session.request, state.requests.count(where: { $0.session == session.id }) > 1 else {
            return key
        }
        return "\(key)/\(request)"
    }

    /// The server has taken an update out of the open round, since its key is revoked. Where it was this hospital's own, or kept
    /// that out, and no other is on its way, the round is trained once more. Whether it was acknowledged says nothing: that may
    /// have been overtaken.
    ///
    /// - Parameter disowned: the update that counts no more.
    func trainAgain(_ id: RandomID, after disowned: Digest) {
        guard let session = state.session(id), session.ended == nil, !session.global.isFinal,
            session.answeredRound == session.global.round, let own = answer(in: session), own.id == disowned
        else { return }
        state.change(session: id) { $0.trainAgain(for: own.id) }
    }

    /// An update whose bundle was recorded before a kill is published by the mailbox; only the state lags behind.
    func catchUpWithPublished() throws {
        for session in state.sessions {
            guard let round = session.roundToTrain, mailbox.sent(key: updateKey(session, round)) != nil else {
                continue
            }
            try afterPublishing(session.id, round: round)
        }
    }

    private func afterPublishing(_ id: RandomID, round: Int) throws {
        // First, since a run that is stopped on the way comes here again, and no more once the state has the round.
        try files.remove(checkpointPath(id))
        try files.remove(updatePath(id))
        // A newer update makes the earlier ones useless. One that was signed anew with another key is the same update.
        let newest = state.session(id).map { updateKey($0, round) }
        let isNewest = { (key: String) in newest.map { key == $0 || key.hasPrefix($0 + "/") } ?? false }
        try mailbox.withdraw { $0.kind == .update && $0.session == id && $0.round <= round && !isNewest($0.key) }
        state.change(session: id) { $0.answeredRound = max($0.answeredRound, round) }
        state.announced.forget(Self.untrained(id))
        try saveState()
    }

    private func isDeadlineNear(_ session: ClientSession) -> Bool {
        now.seconds >= session.deadline.seconds - min(Self.partialBefore, session.plan.deadline / 10)
    }

    /// One line for the count; the files' names are for 'data check' on the hospital's own terminal.
    func tellSkipped(_ pictures: LocalPictures) {
        for warning in pictures.warnings {
            if state.announced.announce("pictures-\(warning)") { attention(warning) } else { detail(warning) }
        }
        // Names of pictures may name patients: at debug level only, on the hospital's own machine.
        for skipped in pictures.skipped { log.debug("skipped \(skipped)") }
        let count = pictures.skipped.count
        guard count > 0 else { return }
        let (line, isNew) = announceSkipped(count)
        if isNew { attention(line) } else { detail(line) }
    }

    /// - Returns: what there is to say, and whether nobody was told yet.
    func announceSkipped(_ count: Int) -> (line: String, isNew: Bool) {
        (
            "\(counted(count, "picture cannot be read and is", "pictures cannot be read and are")) skipped; 'consilium data check' names them",
            state.announced.announce("skipped-\(count)")
        )
    }
}

private func monotonicSeconds() -> Int64 { MonotonicClock.nanoseconds() / 1_000_000_000 }
