import Bundles
import Configuration
import Federation
import Files
import Mailbox
import SystemPackage
import Tensors
import Wire

/// Sessions from start to version: what time and arrived updates make of them.
extension ServerRun {
    /// One step of every session that goes on. A session whose step fails is told and left as it is; the others go on.
    func stepSessions() throws {
        for id in sessions.map(\.id) {
            guard let session = session(id), !session.isOver || session.version == nil else { continue }
            try isolated("session \(session.name)") {
                // A revocation that was stopped after the trust was saved comes to its end here.
                for name in session.active where !session.isOver && mailbox.trust.isWithoutKey(name) {
                    try apply(.exclude(name, reason: Self.revokedReason), to: id)
                }
                if session.state == .waiting {
                    if session.isNamed { try apply(.need(clients: configuration.minimumClients), to: id) }
                    try dropExpired(self.session(id) ?? session)
                    try startIfReady(self.session(id) ?? session)
                }
                if session.state != .waiting, !session.isOver { try tellChangedPlan(of: session) }
                try apply(.tick, to: id)
                try work(on: id)
            }
        }
    }

    /// Aggregation, saving, telling: answers the wishes that are not publications until none is left.
    private func work(on id: RandomID) throws {
        while let session = session(id) {
            var didWork = false
            for wish in session.wishes {
                switch wish {
                case .aggregate(let order):
                    let model = try aggregate(order, session: session)
                    try apply(.aggregated(round: order.round, model: model), to: id)
                    didWork = true
                case .saveVersion(let order):
                    let number = try versions.save(session, order: order, sessions: store, now: now)
                    try apply(.versionSaved(number), to: id)
                    attention("session \(session.name) has finished: version \(number) is saved")
                    didWork = true
                case .announcePause where !isTick: break
                case .announcePause(let reason):
                    // The exit status, once. The line was said by the event, in this run or in an admin's command, which is not
                    // where cron's mail goes.
                    let line = "session \(session.name): \(SessionEffect.paused(reason: reason))"
                    if !report.attention.contains(line) { attention(line) }
                    report.isShortOfQuorum = true
                    try apply(.pauseAnnounced, to: id)
                case .decision, .global, .abort: break
                }
            }
            if !didWork { return }
        }
    }

    /// Averages the frozen updates straight out of their archived bundles, which are verified once more on the way.
    private func aggregate(_ order: AggregationOrder, session: Session) throws -> Digest {
        let base = try ModelFiles.open(try store.path(of: order.base, in: session))
        let inputs = try order.inputs.map { update in
            AggregationInput(
                client: update.client, weight: update.weight, source: try archivedUpdate(update.bundle))
        }
        let path = store.modelPath(session.id, round: order.round)
        try files.makeDirectories(path.removingLastComponent())
        try ModelFiles.write(to: path, files: files) { sink in
            try Aggregation.run(base: base, inputs: inputs, strategy: order.strategy.aggregation, to: sink)
        }
        return try SHA256Hash.digest(of: path, files: files).digest
    }

    // MARK: start

    /// An approval ends when its request expires: whoever waited that long for a session may not expect it any more.
    private func dropExpired(_ session: Session) throws {
        for participant in session.participants where participant.standing == .active {
            guard let record = records.request(participant.request), now > record.expires else { continue }
            try apply(
                .drop(record.client, reason: "the request expired before the session began; send a new one"),
                to: session.id)
            attention("session \(session.name): \(record.label) of \(record.client) expired before the session began")
        }
    }

    var starts: SessionStarts { SessionStarts(home, configuration: configuration, records: records) }

    private func startIfReady(_ session: Session) throws {
        let obstacles = try starts.obstacles(to: session)
        for obstacle in obstacles { announce(obstacle.key, "session \(session.name) \(obstacle.text)") }
        guard obstacles.isEmpty, let head = try versions.head() else { return }
        let plan = try starts.plan(of: session, version: try versions.record(head))
        try apply(.start(try prepare(plan, session: session, version: head)), to: session.id)
    }

    private func tellChangedPlan(of session: Session) throws {
        let changed: (path: FilePath, digest: Digest)?
        do {
            changed = try starts.changedPlan(of: session)
        } catch let error as FileError where !error.isTransient {
            // By the rules it does not matter any more: the session goes on.
            return announce("plan-changed-\(session.id.hex)", "session \(session.name): \(error)")
        }
        guard let changed else { return }
        announce(
            "plan-changed-\(session.id.hex)-\(changed.digest)",
            "session \(session.name) trains by the plan that it began with, and \(changed.path) says another one now, which "
                + "changes nothing: another plan needs another session")
    }

    /// Takes the newest version apart into what trains and what is frozen. Repeating it writes the same bytes.
    private func prepare(_ plan: Plan, session: Session, version: Int) throws -> SessionStart {
        let whole = try ModelFiles.open(versions.modelPath(version))
        guard whole.layouts.contains(where: plan.trains) else {
            throw ServerError(
                .badInput, "train_from: \(plan.trainFrom.rawValue) leaves nothing to train in version \(version)")
        }
        let model = try ModelFiles.write(
            [whole], to: store.modelPath(session.id, round: 0), files: files, keeping: plan.trains)
        var base: Digest?
        if !whole.layouts.allSatisfy(plan.trains) {
            base = try ModelFiles.write([whole], to: store.basePath(session.id), files: files) { !plan.trains($0) }
        }
        return SessionStart(
            plan: plan, planDigest: SHA256Hash.digest(of: plan.encoded), version: version, model: model, base: base)
    }
}

extension Session {
    /// Whether it stands for a folder of `requests/approved/`. A request's own session is `REQ-1@hospital-a`, which no
    /// folder may be called.
    var isNamed: Bool { !name.contains("@") }
    /// Its folder in `requests/approved/`; nil where its one request lies in that itself.
    var folder: String? { isNamed ? name : nil }
}
