//! `README.md` of the adapter's folder: a model card as Hugging Face reads it, with both guarantees in plain words.

use dp::{Budget, PrivacyUnit};
use protocol::certificate::{Certificate, LocalGuarantee, TrainingGuarantee};

/// The card as Markdown with YAML front matter. Nothing in it comes from the owner's text: names are validated identifiers, the rest numbers.
pub(crate) fn render(certificate: &Certificate) -> String {
    let base = &certificate.base_model;
    let settings = &certificate.hyperparameters;
    format!(
        "---\n\
         base_model: {base}\n\
         library_name: peft\n\
         pipeline_tag: text-generation\n\
         tags:\n- lora\n- differential-privacy\n\
         ---\n\n\
         # LoRA adapter for {base}, trained with differential privacy\n\n\
         Rank {rank}, alpha {alpha}, on {modules}. {trained}. `privacy.json` states everything below exactly, with all settings and \
         the hashes of what went in and came out; `dpft verify privacy.json` checks it and recomputes it, without asking anybody.\n\n\
         ## What is guaranteed about the training records\n\n{training}{account}\n\
         ## What is guaranteed about the text itself\n\n{local}\n\
         ## How to use it\n\n\
         ```python\n\
         from peft import PeftModel\n\
         from transformers import AutoModelForCausalLM\n\n\
         base = AutoModelForCausalLM.from_pretrained(\"path/to/{base}\")\n\
         model = PeftModel.from_pretrained(base, \"path/to/this/folder\")\n\
         ```\n",
        rank = settings.rank,
        alpha = settings.alpha,
        modules = settings.target_modules.join(", "),
        trained = match &certificate.job {
            Some(job) => format!("Trained by job `{job}`"),
            None => "Trained on its owner's machine".to_owned(),
        },
        training = training_words(&certificate.training),
        account = account_words(certificate.dataset_budget) + start_words(certificate),
        local = local_words(certificate.local.as_ref()),
    )
}

fn training_words(guarantee: &TrainingGuarantee) -> String {
    let TrainingGuarantee { epsilon, delta, steps, noise_multiplier, sampling_rate, max_grad_norm, .. } =
        guarantee;
    let clipping = guarantee.clipping;
    let unit = unit_words(guarantee.privacy_unit);
    // Rounded up: a rounded promise must not say less than the exact one.
    let epsilon = (epsilon * 1000.0).ceil() / 1000.0;
    let factor = epsilon.exp();
    let losses = match guarantee.loss_noise_multiplier {
        Some(noise) => format!(
            " A noisy loss of each step was shown to its owner (noise multiplier {noise:.4}); that is part of the guarantee above."
        ),
        None => String::new(),
    };
    format!(
        "The adapter is ({epsilon}, {delta:e})-differentially private for adding or removing {unit}. In words: for whoever sees the adapter, even \
         knowing every other record, the odds that any one record was there change by a factor of at most e^{epsilon}, about {factor:.0}, except \
         with a probability of about {delta:e}. The smaller that factor, the stronger the protection. It was trained by DP-SGD: {steps} steps, each \
         record in a step with probability {sampling_rate:.6}, each record's gradient clipped to norm {max_grad_norm} ({clipping} clipping), noise multiplier \
         {noise_multiplier:.4}.{losses} Records that repeat, or that say the same thing in other words, are protected as the several records they are.\n"
    )
}

fn account_words(budget: Option<Budget>) -> String {
    let Some(Budget { epsilon, delta }) = budget else {
        return "Nobody has kept account of other trainings on the same file: their guarantees add up with this one.\n".into();
    };
    format!(
        "Other adapters trained on the same file add to what is known of a record. The service keeps that account: all of them together stay \
         within ({epsilon}, {delta})-differential privacy.\n"
    )
}

fn start_words(certificate: &Certificate) -> &'static str {
    match certificate.hashes.initial_adapter.is_empty() {
        true => "",
        false => {
            "\nTraining went on from an earlier adapter. Its records are not covered by the guarantee above, and for a record that was in \
             both, the two guarantees add up.\n"
        }
    }
}

fn local_words(guarantee: Option<&LocalGuarantee>) -> String {
    let Some(guarantee) = guarantee else {
        return "Nothing: the text was uploaded as it is, and the service saw it.\n".into();
    };
    let LocalGuarantee { unit, epsilon_per_token, epsilon_of_longest_record, max_tokens_in_a_record, .. } =
        guarantee;
    let delta = guarantee.delta.map_or(String::new(), |delta| format!(", all at a delta of {delta:e}"));
    format!(
        "By its owner's statement, every {unit} passed a randomised channel on the owner's machine before it was uploaded: {epsilon_per_token}-local \
         differential privacy of each {unit}, against everybody, the service included. They compose: the longest record has \
         {max_tokens_in_a_record} and so {epsilon_of_longest_record} in all{delta}. Not hidden are the number of records and of {unit}s in each. \
         This guarantee and that of training hold against different readers and must not be added up.\n"
    )
}

fn unit_words(unit: PrivacyUnit) -> &'static str {
    match unit {
        PrivacyUnit::Line => "one line of the file",
        PrivacyUnit::Paragraph => "one paragraph of the file",
        PrivacyUnit::JsonRecord => "one JSON record of the file",
    }
}
