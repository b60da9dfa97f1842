import Client
import Federation
import Files
import Images
import NeuralNetworks
import SystemPackage
import Tensors
import Wire

/// What the federation is measured against: the same network, plan and number of epochs on one hospital's pictures alone,
/// and on all of them in one place. The optimiser begins anew with each "round", as it does in the federation.
struct Baselines {
    let simulation: Simulation
    let outcome: Simulation.Outcome

    func run() throws -> [Simulation.Curve] {
        let files = LocalFileSystem()
        let central = simulation.root.appending("pictures").appending("central")
        var curves: [Simulation.Curve] = []
        for index in 1...simulation.options.clients {
            let folder = simulation.pictures.appending("client-\(index)")
            curves.append(try train("client-\(index) alone", on: folder))
            for name in outcome.classes {
                let source = folder.appending(name)
                let target = central.appending(name)
                try files.makeDirectories(target)
                for entry in try files.list(source) where entry.kind == .regular {
                    let copy = target.appending("\(index)-\(entry.name)")
                    try files.copyFile(from: source.appending(entry.component), to: copy)
                }
            }
        }
        curves.append(try train("all in one place", on: central))
        return curves
    }

    private func train(_ name: String, on folder: FilePath) throws -> Simulation.Curve {
        // Nobody to stay near to: the proximal term belongs to the federation.
        var plan = outcome.plan
        plan.strategy = .fedAvg
        guard let party = PartyName("baseline") else { return Simulation.Curve(name: name, test: []) }
        let specification = outcome.initial.specification
        let pictures = try LocalPictures.load(
            folder, specification: specification, augmentation: plan.augmentation, validation: 0.2,
            seed: LocalTraining.seed(plan: plan, client: party), files: LocalFileSystem(), context: simulation.context)
        var model = outcome.initial
        let test = try simulation.testSources(model, plan)
        let features = try simulation.featureCache.features(
            name.replacing(" ", with: "_"), plan: plan, model: model, pictures: pictures,
            shouldStop: simulation.watch.shouldStop)
        var figures = [try simulation.score(model, on: test)]
        for round in 1...plan.rounds {
            let training = LocalTraining(
                plan: plan, round: round, client: party, global: model, pictures: pictures, features: features,
                context: simulation.context)
            let trainer = try training.trainer(checkpoint: nil).trainer
            guard try trainer.run(shouldStop: simulation.watch.shouldStop) else {
                throw CommandFailure(.temporary, "stopped by a signal")
            }
            model = try training.finalModel(of: trainer)
            figures.append(try simulation.score(model, on: test))
            simulation.say("\(name): round \(round) of \(plan.rounds)")
        }
        return Simulation.Curve(name: name, test: figures)
    }
}
