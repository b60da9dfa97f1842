package import Wire

/// One approved training: its plan, participants and rounds, as a value.
///
/// 1. ``apply(_:now:)`` is the only way to change it, and takes the time as an argument: no clock, no file, no
///    randomness.
/// 2. Applying an event twice is the same as applying it once.
/// 3. A round closes when every active participant has answered, or at its deadline with the quorum; never with less
///    than the quorum or than the clients that the session needs to start, and never with an update of a client that is
///    not active.
/// 4. Only time (`.tick`) closes a round. A run takes its whole inbox in first, so the order in which files are listed
///    changes nothing: a newer update of the same client that lies beside the older one is the one that counts.
/// 5. The updates of a round are frozen in the state before they are averaged.
/// 6. ``wishes`` lists the work that the state asks for; a run that was killed finds the same list again.
/// 7. `finished` and `aborted` are for ever; nothing that comes afterwards changes the outcome.
package struct Session: Equatable, Sendable {
    package enum State: String, Sendable, CaseIterable {
        /// Not enough participants yet.
        case waiting
        case running
        /// Updates are frozen and being averaged.
        case closing
        /// The round cannot close without the admin; updates are still taken.
        case paused
        case finished, aborted
    }

    package let id: RandomID
    /// The folder's name in `requests/approved/`, or the request's own.
    package let name: String
    package let created: Timestamp
    /// Participants without which it does not start.
    package internal(set) var minimumClients: Int

    package internal(set) var state: State = .waiting
    /// Sorted by name; those who left stay listed.
    package internal(set) var participants: [Participant] = []
    /// Plan and base; nil while waiting.
    package internal(set) var start: SessionStart?
    package internal(set) var round: OpenRound?
    /// In order; `history[i].number == i + 1`.
    package internal(set) var history: [ClosedRound] = []
    /// Why it is paused; nil in every other state.
    package internal(set) var pauseReason: String?
    package internal(set) var pauseAnnounced = false
    package internal(set) var stoppedEarly = false
    /// The saved version's number.
    package internal(set) var version: Int?
    package internal(set) var abortReason: String?
    /// When it was finished, its version was saved, or it was aborted; nil before.
    package internal(set) var ended: Timestamp?
    /// To whom the abort is addressed: those who were in the session when it ended.
    package internal(set) var abortRecipients: [PartyName] = []

    /// - Throws: ``FederationError`` `.notAllowed` if the name is not 1 to 128 printable bytes.
    package init(id: RandomID, name: String, created: Timestamp, minimumClients: Int) throws(FederationError) {
        guard (1...128).contains(name.utf8.count), isPrintable(name) else {
            throw FederationError(.notAllowed, "a session's name must be 1 to 128 printable bytes; rename its folder")
        }
        self.id = id
        self.name = name
        self.created = created
        self.minimumClients = max(1, minimumClients)
    }

    package var isOver: Bool { state == .finished || state == .aborted }
    package var plan: Plan? { start?.plan }
    package var active: [PartyName] { participants.filter { $0.standing == .active }.map(\.name) }

    package subscript(client: PartyName) -> Participant? { participants.first { $0.name == client } }

    /// Whether ``SessionEvent/start(_:)`` would start it with this plan.
    package func canStart(_ plan: Plan) -> Bool {
        state == .waiting && active.count >= max(minimumClients, plan.quorum.minimumParticipants)
    }

    /// Participants whose answer the open round waits for or has, sorted.
    package var expected: [PartyName] {
        guard let round else { return [] }
        return participants.filter { $0.standing == .active && $0.firstRound <= round.number }.map(\.name)
    }

    /// How many updates close the open round: the quorum, and never fewer than the session needed to start. Otherwise, once
    /// all others are dropped, excluded or gone, the "average" would be one hospital's own model.
    package func requiredUpdates(_ plan: Plan) -> Int {
        max(plan.quorum.required(of: expected.count), minimumClients)
    }

    /// Expected participants whose update is here, sorted.
    package var answered: [PartyName] { expected.filter { round?.update(of: $0) != nil } }
    package var missing: [PartyName] { expected.filter { round?.update(of: $0) == nil } }
}

extension Quorum {
    /// The least number of participants with which a session makes sense.
    var minimumParticipants: Int { if case .count(let count) = self { count } else { 1 } }
}
