import Bundles
import Configuration
package import Federation
import Files
package import Mailbox
import SystemPackage
import Wire

/// Whether sessions that wait can begin: asked by the run, which begins them, and by whoever only looks.
package struct SessionStarts {
    /// Why a session does not begin.
    package struct Obstacle {
        /// Under which it is said once.
        let key: String
        /// Behind the session's name: `waits: it has 1 of the 2 clients that it needs`.
        package let text: String
        /// Whether a person has to mend something, and not only hospitals to come.
        package let isFault: Bool
    }

    let home: Home
    let configuration: ServerConfiguration
    let records: DeskRecords
    let versions: VersionStore

    init(_ home: Home, configuration: ServerConfiguration, records: DeskRecords) {
        self.home = home
        self.configuration = configuration
        self.records = records
        versions = VersionStore(home: home)
    }

    /// For a look at a home that another run may hold.
    package init(_ home: Home) throws {
        self.init(
            home, configuration: try ServerConfiguration.load(from: home), records: try DeskStore(home: home).load())
    }

    /// What keeps a session from beginning; nothing where it can. A plan that is wrong is found while hospitals are waited
    /// for, since whoever wrote it is there now.
    package func obstacles(to session: Session) throws -> [Obstacle] {
        var session = session
        // As the run will have it.
        if session.isNamed { _ = try session.apply(.need(clients: configuration.minimumClients), now: session.created) }
        let (id, count, needed) = (session.id.hex, session.active.count, session.minimumClients)
        var found: [Obstacle] = []
        if count < needed {
            found.append(
                Obstacle(
                    key: "waiting-\(id)-\(count)",
                    text: "waits: it has \(count) of the \(needed) clients that it needs",
                    isFault: false))
        }
        guard let head = try versions.head() else {
            found.append(
                Obstacle(
                    key: "no-version-\(id)",
                    text: "waits for a first model: run 'consilium model import' or 'consilium model init'",
                    isFault: true))
            return found
        }
        do {
            let plan = try plan(of: session, version: try versions.record(head))
            if count >= needed, !session.canStart(plan) {
                found.append(
                    Obstacle(
                        key: "quorum-\(id)-\(count)", text: "waits: its quorum needs more than \(count) clients",
                        isFault: false))
            }
        } catch
            where error is FederationError || error is ConfigurationError
            || (error as? FileError)?.isTransient == false
        {
            found.append(Obstacle(key: "plan-\(id)-\(error)", text: "cannot start: \(error)", isFault: true))
        }
        return found
    }

    /// Where the admin's own plan of a session lies, if there is one.
    func planPath(of session: Session) -> FilePath? {
        guard session.isNamed else { return nil }
        return home.requests.appending("approved").appending(session.name).appending("plan.yaml")
    }

    /// The admin's `plan.yaml`, or the wishes of the request with the lowest number, over the server's defaults.
    func plan(of session: Session, version: VersionRecord) throws -> Plan {
        var layers = [configuration.planDefaults]
        var context = home.configurationPath.string
        if let path = planPath(of: session), try home.files.exists(path) {
            let bytes = try home.files.readFile(path, limit: StrictYAML.maximumBytes)
            context = path.string
            layers.append(try StrictYAML.parse(bytes, name: context))
        } else {
            // Whoever has left before the start has no say in the plan.
            let own = session.participants.filter { $0.standing == .active }.compactMap { records.request($0.request) }
            if let first = own.min(by: { $0.number < $1.number }) {
                layers.append(first.request.wishes.layer)
                context = first.label
            }
        }
        let plan = try PlanDefaults.plan(
            layers: layers, architecture: version.architecture, classes: version.classes,
            imageSize: version.imageSize, crop: version.crop, context: context)
        return session.active.count == 1 && session.minimumClients == 1 ? plan.trainingAlone : plan
    }

    /// What a running session's `plan.yaml` says otherwise than the plan that it trains by, which never changes: the file's
    /// digest, under which that is said once; nil where it says nothing else, or is not there.
    func changedPlan(of session: Session) throws -> (path: FilePath, digest: Digest)? {
        guard let plan = session.plan, let path = planPath(of: session), try home.files.exists(path) else { return nil }
        let bytes = try home.files.readFile(path, limit: StrictYAML.maximumBytes)
        let layer = try? StrictYAML.parse(bytes, name: path.string)
        let isSame = layer.map { PlanDefaults.isSaid(by: plan, $0) } ?? false
        return isSame ? nil : (path, SHA256Hash.digest(of: bytes))
    }
}
